"""Where the header of a table is, below the title, date range or description of a report."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from evoked.posts.readers.columns import choose_mapping, normalise

MOST_LINES = 40
"""Number of lines in which a header is looked for."""

# Two names by chance are rare; a single one, such as "Text", may stand in a title.
_FEWEST_NAMES = 2
_SHOWN_CHARACTERS = 40
_SHOWN_LINES = 3


def header_position(lines: Sequence[Sequence[str]], named: Collection[str] = ()) -> int:
    """The number of the line, from 0, that names the columns.

    Of the lines with more cells filled than any line above them, it is the one with a name that a
    person gave, or else with most names that are recognised, at least two; or a line with most
    cells of all that has such names. If there is none, it is the first line, unless that has less
    than half as many cells filled as the fullest one.

    Parameters
    ----------
    lines
        The cells of the first lines of a file.
    named
        Columns that a person named.

    Examples
    --------
    >>> header_position([["Report", "", ""], ["2026", "", ""], ["Date", "Likes", "Text"]])
    2
    """
    filled = [sum(bool(cell.strip()) for cell in line) for line in lines]
    wanted = set(map(normalise, named)) - {""}
    candidates = [
        number for number in range(len(lines)) if filled[number] > max(filled[:number], default=0)
    ]
    for number in candidates:
        if not wanted.isdisjoint(map(normalise, lines[number])):
            return number
    most = max(filled, default=0)
    # Above the header may be a line as full as it is, such as "From, 1 May, To, 31 May".
    as_full = [number for number in range(len(lines)) if filled[number] == most]
    for several in (candidates, as_full):
        names = {number: _number_recognised(lines[number]) for number in several}
        best = max(several, key=names.__getitem__, default=0)
        if names.get(best, 0) >= _FEWEST_NAMES:
            return best
    return next((number for number in candidates if 2 * filled[number] > most), 0)


def names_columns(line: Sequence[str]) -> bool:
    """Whether a line has several names of columns that are known."""
    return _number_recognised(line) >= _FEWEST_NAMES


def _number_recognised(line: Sequence[str]) -> int:
    return len(choose_mapping([cell.strip() for cell in line if cell.strip()], {}))


def note_on_lines_above(file: str, lines: Sequence[Sequence[str]]) -> str:
    """What was passed over above the header."""
    texts = [text for line in lines if (text := " ".join(filter(None, map(str.strip, line))))]
    shown = "; ".join(text[:_SHOWN_CHARACTERS] for text in texts[:_SHOWN_LINES])
    return f"What stands above the header of {file} is passed over: {shown}."
