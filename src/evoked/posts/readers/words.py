"""The words of ``words.yaml``, without accents; the file is read when they are first asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

from evoked.posts.readers.packaged import packaged
from evoked.posts.readers.plain_signs import folded


@cache
def words(section: str) -> frozenset[str]:
    """All words of a section."""
    return frozenset(folded(_sections()[section]).split())


@cache
def kinds(section: str) -> dict[str, Any]:
    """For each word of a section, which of its groups has it, in the order of the groups."""
    groups = _sections()[section].items()
    return {word: kind for kind, names in groups for word in folded(names).split()}


@cache
def positions(section: str) -> dict[str, int]:
    """For each word of a section of lists, by language, its position there, from 0."""
    return {
        word: position
        for names in _sections()[section].values()
        for position, together in enumerate(names)
        for word in folded(together or "").split()
    }


def section(name: str) -> dict[str, Any]:
    """A section as the file has it."""
    found: dict[str, Any] = _sections()[name]
    return found


@cache
def _sections() -> dict[str, Any]:
    sections: dict[str, Any] = packaged("words.yaml")
    return sections
