"""``python -m evoked.runtime EXPORT DRAFTS.json``: score drafts by an exported run.

DRAFTS.json holds a draft or a list of drafts, by the names of their fields; ``-`` reads it from the
standard input. Answers are printed as JSON, one for each draft.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from evoked.errors import EvokedError, SettingsError
from evoked.files import parse_json, plain, read_bounded
from evoked.runtime import load
from evoked.sentences import visible, visible_json


def main(arguments: Sequence[str]) -> int:
    """Score what the arguments say; the exit status."""
    try:
        if len(arguments) != 2:
            raise SettingsError("usage: python -m evoked.runtime EXPORT DRAFTS.json")
        folder, drafts = arguments
        content = sys.stdin.buffer.read() if drafts == "-" else read_bounded(Path(drafts))
        found = parse_json(content, drafts)
        rows = found if isinstance(found, list) else [found]
        answers = load(folder, once=len(rows) == 1).score(rows)
    except EvokedError as error:
        print(visible(str(error)), file=sys.stderr)
        return 2
    print(visible_json(plain(answers)))
    return 1 if any(answer["error"] for answer in answers) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
