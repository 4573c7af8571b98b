"""What a run said is kept: all of it, by several processes at once, and no text of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from evoked.advice import rank
from evoked.advice.ledger import changed_facts, facts_of, keep, read_ledger, state_of
from evoked.errors import DataError
from evoked.files import append_lines
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.posts.schema import ENGAGEMENT, EXPOSURE
from evoked.runs.posts import Run
from tests.support.small_runs import Workshop, by_hand

SECRET = "Our secret launch #Confidential"
ADDER = """
import sys
from pathlib import Path
from evoked.files import append_lines, kept_still
folder, name, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
for place in range(number):
    with kept_still(folder):
        append_lines(folder / "ledger.jsonl", [f"{name}-{place}-" + "x" * 2000])
    print(place, flush=True)
"""


@pytest.fixture(scope="module")
def kept_run(workshop: Workshop, dataset: PostDataset) -> Run:
    return workshop.run(dataset, "kept", "linear", by_hand(len(dataset), tests=25))


@pytest.fixture
def ledger_run(kept_run: Run) -> Run:
    """The run, with no ledger yet."""
    (kept_run.folder / "ledger.jsonl").unlink(missing_ok=True)
    return kept_run


def drafts(dataset: PostDataset) -> list[Draft]:
    picture = next(path for path in dataset.cover_paths() if path is not None)
    usual = Draft(author="author-001", followers=5000)
    return [
        replace(usual, caption=SECRET, image=picture, name="one"),
        replace(usual, caption="What do you think?", posted_at=datetime(2030, 5, 1, 18)),
    ]


def test_a_line_holds_what_was_known_and_no_text(ledger_run: Run, dataset: PostDataset) -> None:
    chosen = drafts(dataset)
    table = ledger_run.predict(chosen)
    assert keep(ledger_run, "prediction", chosen, table) == 2
    written = (ledger_run.folder / "ledger.jsonl").read_text("utf-8")
    picture = chosen[0].image
    for text in ("secret", "Confidential", "author-001", "What do", Path(str(picture)).name):
        assert text.casefold() not in written.casefold()
    first, second = read_ledger(ledger_run.folder).entries
    assert first.set == second.set
    assert first.run == state_of(ledger_run.folder)
    assert first.predicted["likes"][0] == table["likes"].iloc[0]
    assert first.predicted["likes"][1:] == tuple(table[["likes_low", "likes_high"]].iloc[0])
    assert first.facts["hashtags"] == 1
    assert first.facts["followers"] == 5000
    assert second.facts["question marks"] == 1
    assert first.picture is not None
    assert second.picture is None
    assert first.posted_at is None
    assert second.posted_at == datetime(2030, 5, 1, 18, tzinfo=UTC)
    assert first.post is not None
    assert second.post is None


def test_an_order_is_kept_with_its_places_and_chances(
    ledger_run: Run, dataset: PostDataset
) -> None:
    chosen = drafts(dataset)
    ranking = rank(ledger_run, chosen)
    sure = replace(ranking, curve=replace(ranking.curve, orders=True))
    keep(ledger_run, "rank", chosen, sure.table, said=sure.said)
    said = [entry.said for entry in read_ledger(ledger_run.folder).entries]
    best = sure.table["post_id"].iloc[0]
    place = [1, 2] if best == "one" else [2, 1]
    assert [each["place"] for each in said] == place
    first = said[place.index(1)]
    assert first["by"] == "likes"
    assert first["chances"] == sure.pairs["chance"].tolist()
    unsure = replace(ranking, curve=replace(ranking.curve, orders=False))
    assert all(each["chances"] == [] for each in unsure.said.values())


def test_of_a_dataset_only_what_has_not_come_is_kept(
    ledger_run: Run, workshop: Workshop, dataset: PostDataset
) -> None:
    counts = {
        name: dataset.posts[name].where(dataset.posts.index >= 3)
        for name in (*ENGAGEMENT, *EXPOSURE)
    }
    mixed = workshop.changed(dataset, "kept-mixed", **counts)
    assert keep(ledger_run, "prediction", mixed, ledger_run.predict(mixed)) == 3


def test_an_unfinished_line_is_passed_over_and_spoils_no_other(
    ledger_run: Run, dataset: PostDataset
) -> None:
    chosen = drafts(dataset)
    table = ledger_run.predict(chosen)
    keep(ledger_run, "prediction", chosen, table)
    path = ledger_run.folder / "ledger.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"version":1,"id":"cut sh')
    keep(ledger_run, "prediction", chosen, table)
    ledger = read_ledger(ledger_run.folder)
    assert len(ledger.entries) == 4
    assert ledger.damaged == 1
    with path.open("ab") as stream:
        stream.write(b'[1]\n\xff\xfe\n{"version": 2}\n')
    assert read_ledger(ledger_run.folder).damaged == 4


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", ADDER, str(folder)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    both = [
        subprocess.Popen([*command, name, "40"], env=environment, stdout=subprocess.DEVNULL)
        for name in "ab"
    ]
    assert [each.wait(60) for each in both] == [0, 0]
    lines = (folder / "ledger.jsonl").read_text("utf-8").splitlines()
    for name in "ab":
        own = [line.split("-")[1] for line in lines if line.startswith(name)]
        assert own == [str(place) for place in range(40)]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_a_killed_process_loses_no_line_that_it_had_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", ADDER, str(folder), "k", "100000"],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    told = [line for line in process.stdout.read().split("\n") if line.isdigit()]
    process.wait()
    append_lines(folder / "ledger.jsonl", ["after"])
    lines = (folder / "ledger.jsonl").read_text("utf-8").splitlines()
    assert len(told) > 0
    assert [line.split("-")[1] for line in lines if len(line) > 2000][: len(told)] == told
    assert lines[-1] == "after"


def test_a_ledger_that_would_be_too_large_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    append_lines(path, ["first"])
    monkeypatch.setattr("evoked.files.MAX_JSON_BYTES", 10)
    with pytest.raises(DataError, match="larger than"):
        append_lines(path, ["second line"])
    assert path.read_text("utf-8") == "first\n"


def test_facts_and_what_an_action_changes(ledger_run: Run, dataset: PostDataset) -> None:
    (draft, _) = drafts(dataset)
    edited = replace(draft, caption="Our secret launch, isn't it? #Confidential #new")
    change = changed_facts(ledger_run, draft, edited)
    assert change["hashtags"] == 2
    assert change["question marks"] == 1
    assert len(change["tags"]) == 2
    assert "followers" not in change
    assert "picture" not in change
    assert changed_facts(ledger_run, draft, draft) == {}
    other = changed_facts(ledger_run, draft, replace(draft, image=None))
    assert other["picture"] is None
    assert other["images"] == 0
    known = facts_of(pd.DataFrame(dataset.posts.head(2)))
    assert json.loads(json.dumps(known)) == known
