"""``--keep`` and ``evoked ledger``, as a person types them: from an advice to whether it helped."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from evoked.files import write_json
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from tests.support.command_line import evoked
from tests.support.small_runs import Workshop, by_hand


@pytest.fixture(scope="module")
def own_posts(workshop: Workshop, dataset: PostDataset) -> PostDataset:
    captions = dataset.posts["caption"].fillna("Hello").str.replace("?", ".", regex=False)
    asks = dataset.posts.index % 3 == 0
    return workshop.changed(
        dataset,
        "followed-posts",
        author_id="me",
        caption=captions.where(~asks, captions + " Would you?"),
    )


@pytest.fixture(scope="module")
def asking_run(workshop: Workshop, own_posts: PostDataset) -> Run:
    """A run whose author has tested that questions help."""
    run = workshop.run(own_posts, "followed", "linear", by_hand(len(own_posts), tests=25))
    test: dict[str, Any] = {"question": "question", "by": "likes", "author": "", "hours": [18, 18]}
    test |= {"posts": [12, 12], "gain": 0.4, "low": 0.1, "high": 0.8}
    write_json(run.folder / "tested.json", {"format_version": 1, "tests": [test]})
    return run


def test_followed_advice_is_counted_as_followed(
    asking_run: Run, own_posts: PostDataset, workshop: Workshop
) -> None:
    covers, posts = own_posts.cover_paths(), own_posts.posts.copy()
    rows = [row for row, path in enumerate(covers) if path is not None and row % 3][:2]
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    for number, row in enumerate(rows):
        caption, at = f"The morning light number {number}.", soon + timedelta(days=number)
        said = json.loads(
            evoked(
                *("advise", asking_run.folder, "--image", covers[row], "--caption", caption),
                *("--posted-at", at.strftime("%Y-%m-%dT%H:%M"), "--keep", "--json"),
                *("--cache", workshop.folder / "cache"),
            ).stdout
        )
        assert [(each["about"], each["label"]) for each in said["advice"]] == [
            ("question", "tested")
        ]
        posts.loc[row, "post_id"] = f"came-{number}"
        posts.loc[row, "posted_at"] = pd.Timestamp(at)
        # The first does as advised, the second doesn't.
        posts.loc[row, "caption"] = caption.replace(".", "?") if number == 0 else caption
    came = workshop.changed(own_posts, "followed-came", **{name: posts[name] for name in posts})
    answer = ("ledger", asking_run.folder, came.folder, "--cache", workshop.folder / "cache")
    found = json.loads(evoked(*answer, "--json").stdout)
    assert (found["kept"], found["came"]) == (2, 2)
    counted = {each["action"]: (each["followed"], each["others"]) for each in found["advice"]}
    assert counted == {"any": (1, 1), "question": (1, 1)}
    assert found["advice"][0]["advised"] == pytest.approx(1.4)
    shown = " ".join(evoked(*answer).stdout.split())
    assert "1 post did as advised, 1 didn't" in shown
    kept = (asking_run.folder / "ledger.jsonl").read_text(encoding="utf-8")
    assert "morning" not in kept


def test_hours_are_kept_of_drafts_alone(asking_run: Run, workshop: Workshop) -> None:
    cache = ("--cache", workshop.folder / "cache")
    refused = evoked("when", asking_run.folder, "--keep", fails=True).stderr
    assert "--keep keeps what is said of a draft" in " ".join(refused.split())
    path = asking_run.folder / "ledger.jsonl"
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    evoked("when", asking_run.folder, "--caption", "Hello", "--keep", *cache)
    lines = path.read_text(encoding="utf-8").splitlines()
    entry = json.loads(lines[-1])
    assert len(lines) == len(before) + 1
    assert entry["kind"] == "hours"
    assert entry["said"] == {"by": "likes", "actions": []}
    assert "likes" in entry["predicted"]
