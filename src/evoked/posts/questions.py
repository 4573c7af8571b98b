"""Questions to a dataset in SQL, which can read its tables and nothing else.

The tables that a question names are copied, checked as for every other reader, into a temporary
database. That is then opened for reading alone: without files and network, without extensions, with
settings that a question cannot change, and within bounds of rows, time and memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any

import pyarrow as pa

from evoked.errors import DataError, MissingExtraError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import TABLES

MOST_ROWS = 1_000_000
"""Rows of an answer at most."""

MOST_SECONDS = 300.0
"""How long a question may take, the copying of its tables left out."""

_MEMORY = "2GB"
_TEMPORARY_FILES = "8GB"
_SETTINGS = {
    "memory_limit": _MEMORY,
    "max_temp_directory_size": _TEMPORARY_FILES,
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# The last one keeps a question from undoing the others.
_RESTRICTIONS = (
    "set TimeZone = 'UTC'",
    "set python_enable_replacements = false",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
_SHOWN = 300


@dataclass(frozen=True)
class Answer:
    """What a question found.

    Attributes
    ----------
    table
        Its rows, in their order.
    is_cut
        Whether there are more rows than were asked for.
    """

    table: pa.Table
    is_cut: bool


def ask(
    dataset: PostDataset,
    question: str,
    *,
    rows: int = MOST_ROWS,
    seconds: float = MOST_SECONDS,
) -> Answer:
    """Answer a question about a dataset.

    Parameters
    ----------
    dataset
        Its tables are called as in :data:`evoked.posts.schema.TABLES`: ``posts``, ``activity``, …
    question
        One statement of DuckDB's SQL that reads: ``select``, ``from``, ``describe``, ``summarize``.
    rows
        Most rows of the answer, at most a million.
    seconds
        After which it is stopped.

    Raises
    ------
    MissingExtraError
        The extra ``sql`` is not installed.
    SettingsError
        The question is not understood, does something else than read the dataset's tables, or takes
        too long or too much memory.

    Examples
    --------
    >>> ask(dataset, "select count(*) as n from posts").table.to_pylist()  # doctest: +SKIP
    [{'n': 2000}]
    """
    if not 1 <= rows <= MOST_ROWS:
        raise SettingsError(f"rows: 1 to {MOST_ROWS:,}, not {rows:,}.")
    duckdb = _duckdb()
    _check_statement(duckdb, question)
    with TemporaryDirectory(prefix="evoked-sql-") as folder, _understood(duckdb, dataset):
        file = Path(folder) / "tables.db"
        _copy_tables(duckdb, dataset, _named_tables(dataset, question), file)
        with duckdb.connect(str(file), read_only=True, config=_SETTINGS) as connection:
            for setting in _RESTRICTIONS:
                connection.execute(setting)
            with _stopped_after(connection, seconds):
                found = connection.sql(question).limit(rows + 1).to_arrow_table()
    return Answer(found.slice(0, rows), found.num_rows > rows)


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("duckdb", "sql", "Asking in SQL") from error
    return duckdb


def _check_statement(duckdb: Any, question: str) -> None:
    """Raise SettingsError for anything but one statement that reads."""
    try:
        found = duckdb.extract_statements(question)
    except duckdb.Error as error:
        raise SettingsError(f"the question is not understood: {_first_lines(error)}") from error
    if len(found) != 1:
        raise SettingsError(f"one question at a time, not {len(found)}.")
    if found[0].type != duckdb.StatementType.SELECT:
        raise SettingsError(
            f"a question only reads (select, describe, summarize); this is {found[0].type.name}."
        )


def _named_tables(dataset: PostDataset, question: str) -> list[str]:
    """The tables that a question may mean: those whose names occur in it."""
    words = set(re.findall(r"\w+", question.lower()))
    return [name for name in TABLES if name in words and (name == "posts" or dataset.files(name))]


def _copy_tables(duckdb: Any, dataset: PostDataset, names: list[str], file: Path) -> None:
    with duckdb.connect(str(file), config=_SETTINGS) as connection:
        for name in names:
            batches = _batches(dataset, name)
            connection.register("incoming", batches)
            connection.execute(f"create table {name} as select * from incoming")
            connection.unregister("incoming")


def _batches(dataset: PostDataset, name: str) -> pa.RecordBatchReader | pa.Table:
    if name != "posts":
        return dataset.arrow(name)
    # A fact may be missing in some months: all of them are in the first part's schema.
    schema = dataset.post_schema
    parts = (
        batch for part in dataset.scan(schema.names) for batch in part.cast(schema).to_batches()
    )
    return pa.RecordBatchReader.from_batches(schema, parts)


@contextmanager
def _understood(duckdb: Any, dataset: PostDataset) -> Iterator[None]:
    """Turn what a question got wrong into a sentence."""
    try:
        yield
    except (duckdb.PermissionException, duckdb.InvalidInputException) as error:
        raise SettingsError(
            f"a question reads the tables of the dataset and nothing else: {_first_lines(error)}"
        ) from error
    except duckdb.InterruptException as error:
        raise SettingsError(
            "the question took too long and was stopped. Ask for less, or give it more time."
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise SettingsError(f"the question needs more than {_MEMORY} of memory.") from error
    except duckdb.CatalogException as error:
        tables = ", ".join(dataset.tables)
        problem = _first_lines(error).split(" Did you mean")[0]
        raise SettingsError(f"{problem} The tables are {tables}.") from error
    except duckdb.Error as error:
        if isinstance(error.__cause__, DataError):
            raise error.__cause__ from error
        raise SettingsError(f"the question is not understood: {_first_lines(error)}") from error


@contextmanager
def _stopped_after(connection: Any, seconds: float) -> Iterator[None]:
    timer = Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _first_lines(error: Exception) -> str:
    text = " ".join(str(error).split("\n\nLINE")[0].split())
    return text[:_SHOWN] + ("" if text.endswith((".", "!", "?")) else ".")
