"""Protecting posts: pseudonyms, encrypted fields, locked pictures.

:func:`page` (``evoked privacy explain``) says what each protects, and from whom.
"""

from __future__ import annotations

from pathlib import Path


def page() -> str:
    """The page on privacy, as Markdown; ``docs/privacy.md`` is a copy of it."""
    return (Path(__file__).parent / "page.md").read_text(encoding="utf-8")


def peer_page() -> str:
    """The page on comparing rates (``evoked benchmark explain``), as Markdown; ``docs/peers.md`` is
    a copy of it."""
    return (Path(__file__).parent / "peer_page.md").read_text(encoding="utf-8")
