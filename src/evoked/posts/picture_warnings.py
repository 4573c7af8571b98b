"""What to do where an import could use none, or few, of a source's pictures."""

from __future__ import annotations

import os
import shlex

from evoked.posts.readers.base import NO_PICTURE, OUTSIDE
from evoked.posts.staging import Tally

LEFT_OUT = "a picture that can't be used, left out"
"""The remark on such a picture."""

_MANY = 0.5


def picture_warnings(tally: Tally) -> list[str]:
    """A sentence if at least half of the pictures that posts name were left out.

    Parameters
    ----------
    tally
        What was read, with examples of what was left out: each value is the picture's name, a
        colon and what is wrong with it.
    """
    reason = f"images: {LEFT_OUT}"
    left_out = tally.changed[reason]
    named = left_out + tally.images
    if not left_out or left_out < _MANY * named:
        return []
    example = next(each["value"] for each in tally.examples if each["reason"] == reason)
    name, _, problem = example.rpartition(": ")
    how_many = f"None of the {named}" if not tally.images else f"Only {tally.images} of {named}"
    return [f"{how_many} pictures could be used. {_way_out(name, problem)}"]


def _way_out(name: str, problem: str) -> str:
    if problem == OUTSIDE:
        place = shlex.quote(os.path.dirname(name)) if os.path.isabs(name) else "FOLDER"
        return f"They lie outside the source's folder. Say where: --images {place}"
    if problem == NO_PICTURE:
        return (
            f"Say where they lie: --images FOLDER, the folder from which {name!r} leads to a "
            "picture."
        )
    return f"The first, {name}: {problem}"
