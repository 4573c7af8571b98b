"""How often the ledger's watch raises a false alarm, and how soon it notices a change, at length.

The synthetic accounts of ``benchmarks/ledger.py``, many of them, without runs: a post is predicted
from the median of its account's last ten posts before the month began and four fifths of what its
content adds, as a run that is updated every month would. The first 200 posts are the reference, and
100 are watched; changes come after 40 of these. Beside it, the same posts' last 20 ranges, which
reach as far as 80 % of the reference's misses.

Run: ``python benchmarks/drift.py --json FILE``. The last line is JSON.
"""

from __future__ import annotations

import argparse
from typing import Any

import ledger
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from record import add_json_option, finish, table

from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.evaluation.drift import Series, alarms, series_of

Floats = NDArray[np.float64]

ACCOUNTS = 400
LEVEL_OF = 10
LEARNED_OF_CONTENT = 0.8


def misses_of(likes: Floats, content: Floats) -> Floats:
    """What posts got beside their prediction, as logarithms, (n,); NaN for the first month."""
    months = np.arange(len(likes)) // ledger.PER_MONTH * ledger.PER_MONTH
    levels = [
        np.median((likes - content)[start - LEVEL_OF : start]) if start else np.nan
        for start in months
    ]
    return likes - np.array(levels) - LEARNED_OF_CONTENT * content


def watched(seed: int, change: str) -> list[dict[str, Any]]:
    """What two rules see of one account."""
    drawn = ledger.drawn_account(seed, change)
    likes, misses = drawn.likes, misses_of(drawn.likes, drawn.content)
    whose, learned = ["me"] * len(likes), ledger.LEARNED * ledger.PER_MONTH
    first = ledger.PER_MONTH
    reference, came = (
        Series(*(each[part] for each in series_of(likes[first:], misses[first:], whose[first:])))
        for part in (slice(1, learned - first), slice(learned - first, None))
    )
    reach = np.quantile(np.abs(misses[ledger.PER_MONTH : learned]), DEFAULT_COVERAGE)
    held = np.abs(misses[learned:]) <= reach
    rules = {
        "martingale": [each.at for each in alarms(reference, came, seed)],
        "last 20 ranges": ledger.last_ranges(held),
    }
    return [
        {
            "change": change,
            "updated": "monthly",
            "rule": rule,
            "alarms": found,
            "held before": float(held[: ledger.CHANGE].mean()),
            "held after": float(held[ledger.CHANGE :].mean()),
        }
        for rule, found in rules.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    add_json_option(parser)
    arguments = parser.parse_args()
    rows = [
        row
        for change in ledger.CHANGES
        for seed in range(arguments.accounts)
        for row in watched(seed, change)
    ]
    shown, formats = ledger.summary(pd.DataFrame(rows)), {"median delay": ".0f"}
    print(shown.to_string(index=False))
    finish(
        arguments,
        shown.to_dict("records"),
        tables={"watch": table(shown.drop(columns="updated"), ".2f", **formats)},
        code=["benchmarks/ledger.py", "src/evoked/evaluation/drift.py"],
    )


if __name__ == "__main__":
    main()
