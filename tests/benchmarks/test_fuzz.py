"""A small part of ``benchmarks/fuzz.py``, and all of it where slow tests run."""

from __future__ import annotations

import fuzz
import pytest

SMALL = {"pictures": 60, "tables": 45, "runs": 40, "datasets": 20}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> fuzz.Fuzz:
    return fuzz.Fuzz(tmp_path_factory.mktemp("fuzz"), seed=1)


@pytest.mark.parametrize("kind", fuzz.COUNTS)
def test_odd_files_are_read_or_refused_and_nothing_else(kind: str, cases: fuzz.Fuzz) -> None:
    outcome = cases.run(kind, SMALL[kind])
    assert (outcome.failed, outcome.noticed) == (0, 0), "\n".join(outcome.failures)
    assert outcome.read + outcome.refused == SMALL[kind]
    assert min(outcome.read, outcome.refused) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", fuzz.COUNTS)
def test_odd_files_in_full_number(kind: str, cases: fuzz.Fuzz) -> None:
    outcome = cases.run(kind, fuzz.COUNTS[kind])
    assert (outcome.failed, outcome.noticed) == (0, 0), "\n".join(outcome.failures)


def test_the_watch_notices_what_it_should(cases: fuzz.Fuzz) -> None:
    import subprocess
    import sys

    with cases.watch.watching():
        (cases.folder / "outside.txt").write_text("x", encoding="utf-8")
        subprocess.run([sys.executable, "-c", ""], check=True)
    seen = " ".join(cases.watch.seen)
    assert "outside.txt" in seen
    assert "subprocess.Popen" in seen
    cases.watch.seen.clear()
