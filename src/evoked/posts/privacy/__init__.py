"""Protecting posts: pseudonyms, encrypted fields, locked pictures.

What each protects, and from whom, is told by :func:`page` (``evoked privacy explain``).
"""

from __future__ import annotations

from pathlib import Path


def page() -> str:
    """The page on privacy, as Markdown; ``docs/privacy.md`` is a copy."""
    return (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
