"""``evoked rank`` and ``evoked advise``, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from evoked.posts.dataset import PostDataset
from tests.support.command_line import evoked

AUTHOR = ("--author", "new", "--followers", "5000")


@pytest.fixture(scope="module")
def pictures(demo: Path) -> list[Path]:
    return [path for path in PostDataset(demo / "posts").cover_paths() if path is not None][:3]


def ranked(demo: Path, *arguments: object) -> list[str]:
    answer = evoked("rank", demo / "run", *arguments, *AUTHOR, "--json")
    return sorted(row["post_id"] for row in json.loads(answer.stdout)["drafts"])


def test_pictures_and_captions_make_drafts(demo: Path, pictures: list[Path]) -> None:
    names = sorted(path.name for path in pictures)
    assert ranked(demo, *pictures) == names
    assert ranked(demo, *pictures, "--caption", "All") == names
    assert ranked(demo, "--caption", "One", "--caption", "Two") == ["“One”", "“Two”"]
    assert ranked(demo, pictures[0], "--caption", "A", "--caption", "B") == ["“A”", "“B”"]
    both = ranked(demo, *pictures[:2], "--caption", "A", "--caption", "B")
    assert both == sorted(
        f"{path.name} + “{text}”" for path, text in zip(pictures, "AB", strict=False)
    )


def test_what_is_printed_says_which_and_how_sure(demo: Path, pictures: list[Path]) -> None:
    shown = " ".join(evoked("rank", demo / "run", *pictures, *AUTHOR).stdout.split())
    assert "By likes" in shown
    assert "posts that were kept aside for testing" in shown
    comments = evoked("rank", demo / "run", *pictures, *AUTHOR, "--by", "comments").stdout
    assert "By comments" in comments


def test_a_table_of_drafts_with_what_it_leaves_out(
    demo: Path, pictures: list[Path], tmp_path: Path
) -> None:
    folder = pictures[0].parent
    table = folder.parent / "drafts.csv"
    rows = ["id,image,caption,date", f"first,{folder.name}/{pictures[0].name},Hello,2024-05-01"]
    table.write_text("\n".join([*rows, ",,Only words,not a date"]), encoding="utf-8")
    order = tmp_path / "order.csv"
    answer = evoked("rank", demo / "run", table, *AUTHOR, "--out", order)
    table.unlink()
    assert sorted(pd.read_csv(order)["post_id"]) == ["first", "row 2"]
    assert "drafts.csv, row 2, posted_at" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "an order needs drafts"),
        (("nowhere.jpg", "b.jpg"), "there is no picture nowhere.jpg"),
        (("drafts.csv", "b.jpg"), "pictures or one table"),
        (("--caption", "A"), "two drafts or more"),
    ],
)
def test_mistakes_are_said(demo: Path, arguments: tuple[str, ...], message: str) -> None:
    answer = evoked("rank", demo / "run", *arguments, *AUTHOR, fails=True)
    assert message in answer.stderr


def test_numbers_of_pictures_and_captions_have_to_agree(demo: Path, pictures: list[Path]) -> None:
    captions = ("--caption", "A", "--caption", "B")
    assert (
        "3 pictures and 2 captions"
        in evoked("rank", demo / "run", *pictures, *captions, *AUTHOR, fails=True).stderr
    )


DRAFT = ("--caption", "Golden hour over the bay #travel")


def test_advice_is_said_in_words_and_in_json(demo: Path, pictures: list[Path]) -> None:
    draft = (*DRAFT, "--image", pictures[0])
    shown = " ".join(evoked("advise", demo / "run", *draft, *AUTHOR).stdout.split())
    assert "About" in shown
    read = json.loads(evoked("advise", demo / "run", *draft, *AUTHOR, "--json").stdout)
    assert len(read["advice"]) <= 5
    for sentence in read["sentences"]:
        assert sentence in shown
    comments = evoked("advise", demo / "run", *DRAFT, *AUTHOR, "--by", "comments", "--json")
    assert json.loads(comments.stdout)["by"] == "comments"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--image, --caption, --title"),
        ((*DRAFT, "--alternatives", "nowhere"), "there is no folder nowhere"),
        ((*DRAFT, "--by", "lykes"), "Did you mean 'likes'"),
    ],
)
def test_mistakes_in_asking_for_advice_are_said(
    demo: Path, arguments: tuple[str, ...], message: str
) -> None:
    answer = evoked("advise", demo / "run", *arguments, *AUTHOR, fails=True)
    assert message in " ".join(answer.stderr.split())
