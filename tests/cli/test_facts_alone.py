"""A run of posts of which only facts are known: what it asks of drafts, and what it doesn't."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.command_line import evoked


@pytest.fixture(scope="module")
def facts_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of posts with category, format, hour and weekday, without a caption or a picture."""
    folder = tmp_path_factory.mktemp("facts")
    generator = np.random.default_rng(0)
    n = 90
    videos = generator.random(n) < 0.5
    table = pd.DataFrame(
        {
            "Type": np.where(videos, "Video", "Photo"),
            "Category": generator.choice(["tips", "news"], n),
            "Hour": generator.integers(8, 20, n),
            "Weekday": generator.choice(["Monday", "Tuesday", "Friday"], n),
            "likes": np.exp(4 + 1.5 * videos + generator.normal(0, 0.3, n)).astype(int),
        }
    )
    table.to_csv(folder / "posts.csv", index=False)
    evoked("import", "csv", folder / "posts.csv", folder / "posts")
    evoked("train", folder / "posts", "--model", "linear", "--out", folder / "run")
    return folder / "run"


def test_a_draft_needs_what_the_run_has_learned_from(facts_run: Path) -> None:
    for command in ("predict", "advise", "explain"):
        answer = evoked(command, facts_run, fails=True)
        said = " ".join(answer.stderr.split())
        assert "learned from neither pictures nor captions, but from facts" in said
        assert "--category, --posted-at, --media-type." in said
        assert "--image" not in said
        assert "--paid" not in said
    answer = evoked("advise", facts_run, "--category", "tips", "--media-type", "image")
    assert "Error" not in answer.stderr


def test_the_format_of_a_draft_counts(facts_run: Path) -> None:
    got = {
        kind: json.loads(evoked("predict", facts_run, "--media-type", kind, "--json").stdout)[0]
        for kind in ("image", "video")
    }
    assert got["video"]["likes"] > 2 * got["image"]["likes"]
    answer = evoked("predict", facts_run, "--media-type", "viedo", fails=True)
    assert "Did you mean 'video'" in " ".join(answer.stderr.split())


def test_a_table_of_facts_is_put_in_order(facts_run: Path, tmp_path: Path) -> None:
    table = tmp_path / "drafts.csv"
    table.write_text("post_id,Type,Category,Hour\na,Photo,tips,9\nb,Video,tips,9\n", "utf-8")
    answer = evoked("rank", facts_run, table, "--json")
    assert [row["post_id"] for row in json.loads(answer.stdout)["drafts"]] == ["b", "a"]
    # Of a draft a date says the hour, and that an hour alone is not read is said once.
    assert answer.stderr.count("give the date and time") == 1
    captions = ("--caption", "One", "--caption", "Two")
    said = " ".join(evoked("rank", facts_run, *captions, fails=True).stderr.split())
    assert "can't put them in order" in said
    assert "columns of what it has learned from: category, media_type, posted_at" in said
