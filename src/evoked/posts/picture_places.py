"""Where the pictures of parts lie: a folder, or an address of an object store.

Names are looked for beneath one place and nowhere else, so that a table of somebody else's can't
have other files read. From an object store (``s3://``, ``gs://``, ``abfs://``, ``hdfs://``), a few
pictures at a time are brought into a folder that is removed when they are scored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from evoked.errors import DataError, SettingsError
from evoked.files import writing
from evoked.posts.images import MAX_BYTES

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")
_THREADS = 16
_SHOWN_CHARACTERS = 100


class Pictures(NamedTuple):
    """Pictures of n posts, None where there is none or it couldn't be brought, and by position why
    it could not."""

    paths: list[Path | None]
    problems: dict[int, str]


class PicturePlace:
    """A folder or an address beneath which pictures lie.

    Parameters
    ----------
    place
        A folder's path, or an address such as ``s3://bucket/pictures``.

    Raises
    ------
    SettingsError
        The address is none that can be read here.
    """

    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/")
        self._store: Any = None
        self._beginning = ""
        if _ADDRESS.match(place):
            self._store, self._beginning = _store_of(place)

    @contextmanager
    def brought(self, names: Sequence[str | None], scratch: Path) -> Iterator[Pictures]:
        """The named pictures as files, while the block runs.

        Parameters
        ----------
        names
            Of n pictures: beneath the place, or whole paths or addresses that begin with it.
        scratch
            Where pictures of an object store are put meanwhile.
        """
        if self._store is None:
            yield _collected([self._local(name) for name in names])
            return
        with TemporaryDirectory(dir=scratch) as folder, ThreadPoolExecutor(_THREADS) as pool:
            files = [Path(folder) / f"{number:06d}" for number in range(len(names))]
            yield _collected(list(pool.map(self._fetched, names, files)))

    def _local(self, name: str | None) -> Path | str | None:
        if name is None:
            return None
        try:
            path = Path(self.place) / self._beneath(name)
            if not path.resolve().is_relative_to(Path(self.place).resolve()):
                return _outside(name, self.place)
        except (DataError, OSError, ValueError) as error:
            return str(error)
        return path

    def _fetched(self, name: str | None, file: Path) -> Path | str | None:
        """Bring a picture; why it couldn't be brought, as a text."""
        if name is None:
            return None
        try:
            with self._store.open_input_stream(f"{self._beginning}/{self._beneath(name)}") as came:
                content = came.read(MAX_BYTES + 1)
        except DataError as error:
            return str(error)
        except Exception as error:  # each store has errors of its own
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return f"the picture {name[:_SHOWN_CHARACTERS]!r} can't be read ({lines[0][:200]})."
        if len(content) > MAX_BYTES:
            return f"the picture {name[:_SHOWN_CHARACTERS]!r} is larger than any that is read."
        with writing(file):
            file.write_bytes(content)
        return file

    def _beneath(self, name: str) -> str:
        """A name as it is beneath the place."""
        own = name.removeprefix(f"{self.place}/")
        parts = PurePosixPath(own).parts
        wrong = not parts or ".." in parts or "\\" in own or "\0" in own
        if wrong or PurePosixPath(own).is_absolute() or re.match(r"[A-Za-z][\w+.-]*:", own):
            raise DataError(_outside(name, self.place))
        return own


def _store_of(address: str) -> tuple[Any, str]:
    from pyarrow import fs

    try:
        store, beginning = fs.FileSystem.from_uri(address)
    except Exception as error:  # each store has errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise SettingsError(f"{address}: no address that pictures come from ({reason}).") from error
    return store, beginning.rstrip("/")


def _outside(name: str, place: str) -> str:
    return f"the picture {name[:_SHOWN_CHARACTERS]!r} does not lie beneath {place}."


def _collected(found: Sequence[Path | str | None]) -> Pictures:
    return Pictures(
        [each if isinstance(each, Path) else None for each in found],
        {row: each for row, each in enumerate(found) if isinstance(each, str)},
    )
