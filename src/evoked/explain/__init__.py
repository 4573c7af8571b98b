"""Explanations of predictions."""

from evoked.explain.console import print_explanation
from evoked.explain.explanation import Explanation
from evoked.explain.posts import explain, explain_posts

__all__ = ["Explanation", "explain", "explain_posts", "print_explanation"]
