"""The kinds of facts; apart from :mod:`evoked.posts.facts`, since the command line lists them."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["number", "flag", "class", "classes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
