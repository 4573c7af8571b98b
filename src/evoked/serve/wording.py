"""The texts of the desk's pages: one file per language, each with the same keys."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from evoked.files import parse_yaml

FOLDER = Path(__file__).parent / "texts"
DEFAULT = "en"


@cache
def languages() -> dict[str, str]:
    """The languages there are texts in, by their codes, each in its own words."""
    codes = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return {code: texts(code)["language"] for code in [DEFAULT, *codes] if code in codes}


@cache
def texts(code: str) -> dict[str, str]:
    """The texts of a language by their keys: ``page.text`` for ``text`` under ``page``."""
    return dict(_flat(parse_yaml((FOLDER / f"{code}.yaml").read_text(encoding="utf-8"))))


def chosen(asked: str | None, accepted: str) -> str:
    """The code of the language that a person gets.

    Parameters
    ----------
    asked
        What was chosen on the page; None if nothing was.
    accepted
        The browser's header Accept-Language, such as ``de-AT,de;q=0.9,en;q=0.8``.
    """
    if asked in languages():
        return str(asked)
    for code in _by_preference(accepted):
        if code in languages():
            return code
    return DEFAULT


class Wording:
    """The texts of one language, for templates: ``t("score.title", n=3)``."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._texts = texts(code)

    def __call__(self, key: str, **values: Any) -> str:
        """A text with values in its gaps.

        Raises
        ------
        KeyError
            There is no such text, or a value is missing.
        """
        text = self._texts[key]
        return text.format(**values) if values else text

    def known(self, key: str, otherwise: str) -> str:
        """A text, or what stands in its place where there is none: names of models and stages."""
        return self._texts.get(key, otherwise)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with the language's marks; a dash for what is unknown."""
        if value is None or math.isnan(value):
            return "–"
        text = f"{value:,.{digits}f}"
        marks = self._texts["marks"]  # of thousands, then of decimals
        return text.translate({ord(","): marks[0], ord("."): marks[1]})


def _flat(content: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in content.items():
        key = f"{before}{name}"
        found += _flat(value, f"{key}.") if isinstance(value, dict) else [(key, str(value))]
    return found


def _by_preference(accepted: str) -> list[str]:
    """Codes of languages, without countries, the preferred first."""
    weighed = []
    for position, part in enumerate(accepted[:1000].split(",")):
        code, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), position, code.split("-")[0].lower()))
        except ValueError:
            continue
    return [code for _, _, code in sorted(weighed)]
