"""Leaving out of texts where things lie on the machine, which nobody who uses a desk needs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import evoked
from evoked.serve.jobs import JOBS_FOLDER
from evoked.serve.uploads import CONTENT, UPLOADS_FOLDER

# A folder's name begins and ends here; a longer one is another's.
_BEGIN, _END = r"(?<![\w.\-])", r"(?![\w\-]|\.\w)"
# In the desk's folder, what people bring and what jobs make lies in folders with random names.
_RANDOM = rf"(?:/(?:{UPLOADS_FOLDER}|{JOBS_FOLDER})/[0-9a-f]{{32}}(?:/{CONTENT})?)?"


class Places:
    """Folders of this machine that no text names: what lies in them is named from there on.

    Parameters
    ----------
    data
        The desk's folder; what was brought and what jobs made is called by its bare name.
    others
        Folders of which only the last name is shown, such as those of runs that lie elsewhere.

    Examples
    --------
    >>> places = Places(Path("/srv/desk"), [Path("/data/runs/shop")])
    >>> places.left_out("file /srv/desk/datasets/shop/posts.parquet: damaged.")
    'file datasets/shop/posts.parquet: damaged.'
    >>> places.left_out("/data/runs/shop/run.json, not /srv/desk-of-another")
    'shop/run.json, not /srv/desk-of-another'
    """

    def __init__(self, data: Path, others: Sequence[Path] = ()) -> None:
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for other in (*others, Path(evoked.__file__).parent):
            self._add(other, _END, other.resolve().name.replace("\\", r"\\"))
        self._add(data, f"{_RANDOM}(?:/|{_END})", "")
        self._add(Path.home(), _END, "~")
        self._add(Path(tempfile.gettempdir()), f"(?:/|{_END})", "")

    def _add(self, folder: Path, end: str, instead: str) -> None:
        for spelling in {folder.absolute(), folder.resolve()}:
            if len(spelling.parts) > 1:  # some users' home is the root
                self._patterns.append(
                    (re.compile(_BEGIN + re.escape(str(spelling)) + end), instead)
                )

    def left_out(self, said: Any) -> Any:
        """A text, or what JSON holds, without the folders."""
        if isinstance(said, dict):
            return {name: self.left_out(value) for name, value in said.items()}
        if isinstance(said, list):
            return [self.left_out(value) for value in said]
        if not isinstance(said, str):
            return said
        for pattern, instead in self._patterns:
            said = pattern.sub(instead, said)
        return said
