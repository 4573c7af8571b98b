"""Words after numbers that multiply them by one thing in most languages, and by another in some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evoked.posts.readers.number_notation import read_count
from evoked.posts.readers.words import section

# They show that the words after the numbers of a table are those of most languages.
_USUAL = frozenset(("k", "m"))


@dataclass(frozen=True)
class Scales:
    """What the words after the counts of a table multiply by.

    Attributes
    ----------
    language
        The language of the table's header, as in ``names.yaml``; "" if that isn't known.
    examples
        By column, an example of each word.
    """

    language: str
    examples: Mapping[str, Mapping[str, str]]

    @property
    def by_word(self) -> dict[str, int]:
        """By word, what it multiplies by where that is something else than in most languages."""
        return next((dict(each["scales"]) for each in self._otherwise() if self._is_of(each)), {})

    @property
    def notes(self) -> list[str]:
        """How words are read that multiply by one thing in some language, and another elsewhere."""
        by_language = sorted(self._otherwise(), key=self._is_of, reverse=True)
        found = {
            word: self._note(word, language)
            for language in reversed(by_language)
            for word in language["scales"]
            if word in self._seen and (self._is_of(language) or self._is_doubtful)
        }
        return list(found.values())

    @property
    def _is_doubtful(self) -> bool:
        """Whether neither the header nor other numbers show the language of the numbers."""
        return self.language in ("", "en") and self._seen.isdisjoint(_USUAL)

    @property
    def _seen(self) -> set[str]:
        return {word for words in self.examples.values() for word in words}

    def _otherwise(self) -> list[dict[str, Any]]:
        """The languages that have words of their own for scales."""
        return [{"code": code, **found} for code, found in section("scales_of_languages").items()]

    def _is_of(self, language: dict[str, Any]) -> bool:
        return language["code"] == self.language or not self._seen.isdisjoint(language["shown_by"])

    def _note(self, word: str, language: dict[str, Any]) -> str:
        columns = [column for column, words in self.examples.items() if word in words]
        example, name = self.examples[columns[0]][word], language["name"]
        usual = f"{read_count(example):,}"
        there = f"{read_count(example, scales=language['scales']):,}"
        if self._is_of(language):
            return f"{', '.join(columns)}: {example} is read as {there}, as in {name}."
        return (
            f"Check {', '.join(columns)}: {example} is read as {usual}; in {name} it would be "
            f"{there}."
        )
