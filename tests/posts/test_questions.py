"""Questions in SQL: answered from the dataset's tables, and kept from everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from evoked.cli.application import app
from evoked.errors import DataError, MissingExtraError, SettingsError
from evoked.posts import post_files, questions
from evoked.posts.dataset import PostDataset

pytest.importorskip("duckdb", reason="needs the extra sql")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    n = 40
    posts = pd.DataFrame(
        {
            "post_id": [f"p{number}" for number in range(n)],
            "posted_at": pd.date_range("2024-01-01", periods=n, freq="2D", tz="UTC"),
            "media_type": ["image", "video"] * (n // 2),
            "hashtags": [["sun"]] * n,
            "likes": pd.array([None, *range(1, n)], dtype="Int64"),
            "fact.spend": [float(number) for number in range(n)],
        }
    )
    activity = pd.DataFrame({"post_id": ["p1", "p1"], "hours": [1.0, 2.0], "likes": [3, 4]})
    folder = tmp_path_factory.mktemp("data") / "posts"
    return PostDataset.create(folder, {"posts": posts, "activity": activity})


def test_answers_are_those_of_pandas(dataset: PostDataset) -> None:
    found = questions.ask(
        dataset,
        'select media_type, count(*) as n, sum(likes) as likes, max("fact.spend") as spend '
        "from posts group by media_type order by media_type",
    ).table.to_pylist()
    grouped = dataset.posts.groupby("media_type")
    for row in found:
        own = grouped.get_group(row["media_type"])
        assert row["n"] == len(own)
        assert row["likes"] == own["likes"].sum()
        assert row["spend"] == own["fact.spend"].max()
    assert [row["media_type"] for row in found] == ["image", "video"]


def test_tables_are_joined(dataset: PostDataset) -> None:
    found = questions.ask(
        dataset, "select hours, a.likes, p.likes as last from posts p join activity a "
        "using (post_id) order by hours"
    )  # fmt: skip
    assert found.table.to_pylist()[1] == {"hours": 2.0, "likes": 4, "last": 1}


def test_posts_by_month_are_one_table(
    dataset: PostDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_files, "POSTS_BY_MONTH", 1)
    parts = dataset.copy(tmp_path / "parts", {})
    question = "select count(*) as n, sum(likes) as likes from posts"
    assert len(parts.files("posts")) > 1
    assert questions.ask(parts, question).table == questions.ask(dataset, question).table


def test_rows_are_bounded_in_their_order(dataset: PostDataset) -> None:
    ordered = "select likes from posts order by likes desc nulls last"
    answer = questions.ask(dataset, ordered, rows=3)
    assert answer.is_cut
    assert answer.table["likes"].to_pylist() == [39, 38, 37]
    whole = questions.ask(dataset, "select likes from posts where likes > 37", rows=2)
    assert not whole.is_cut
    assert whole.table["likes"].to_pylist() == [38, 39]


def test_time_is_bounded(dataset: PostDataset) -> None:
    with pytest.raises(SettingsError, match="took too long"):
        questions.ask(
            dataset, "select sum(a.range) from range(10000000) a, range(1000) b", seconds=0.2
        )


@pytest.mark.parametrize(
    "question",
    [
        "select * from read_csv('{file}')",
        "select * from read_text('{file}')",
        "select * from '{file}'",
        "select * from glob('{folder}/*')",
        "select * from read_parquet('{folder}/posts.parquet')",
        "select * from read_parquet('https://example.org/a.parquet')",
        "select * from query('select * from read_text(''{file}'')')",
        "copy posts to '{out}'",
        "export database '{out}'",
        "attach '{out}'",
        "install httpfs",
        "load httpfs",
        "create table x as select 1",
        "create temp table x as select 1",
        "insert into posts (post_id) values ('new')",
        "update posts set likes = 0",
        "delete from posts",
        "drop table posts",
        "set enable_external_access = true",
        "reset lock_configuration",
        "pragma database_list",
        "call pragma_version()",
        "select 1; copy posts to '{out}'",
        "select * from dataset",
        "select * from here",
        "",
    ],
)
def test_nothing_else_is_read_or_written(
    question: str, dataset: PostDataset, tmp_path: Path
) -> None:
    here = pd.DataFrame({"secret": [1]})  # a name in Python, which a question must not see
    secret, out = tmp_path / "secret.csv", tmp_path / "out"
    secret.write_text("secret\n1\n")
    before = {path: path.read_bytes() for path in dataset.folder.rglob("*") if path.is_file()}
    asked = question.format(file=secret, folder=dataset.folder, out=out)
    with pytest.raises(SettingsError) as caught:
        questions.ask(dataset, asked)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    assert len(here) == 1
    after = {path: path.read_bytes() for path in dataset.folder.rglob("*") if path.is_file()}
    assert after == before


def test_a_damaged_dataset_is_refused_as_everywhere(tmp_path: Path) -> None:
    posts = pd.DataFrame({"post_id": ["1"], "likes": [1]})
    dataset = PostDataset.create(tmp_path / "posts", {"posts": posts})
    posts.assign(likes=-5).to_parquet(dataset.folder / "posts.parquet")
    with pytest.raises(DataError, match="likes"):
        questions.ask(PostDataset(dataset.folder), "select likes from posts")


def test_the_extra_is_named(dataset: PostDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"evoked\[sql\]"):
        questions.ask(dataset, "select 1")


def test_the_command_prints_and_writes(dataset: PostDataset, tmp_path: Path) -> None:
    run = CliRunner().invoke
    question = "select media_type, count(*) as n from posts group by all order by all"
    shown = run(app, ["sql", str(dataset.folder), question])
    assert shown.exit_code == 0
    assert "video" in shown.output
    printed = run(app, ["sql", str(dataset.folder), question, "--json"])
    assert json.loads(printed.stdout)["rows"][0] == {"media_type": "image", "n": 20}
    for suffix, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        out = tmp_path / f"answer{suffix}"
        written = run(app, ["sql", str(dataset.folder), question, "--out", str(out)])
        assert written.exit_code == 0, written.output
        assert read(out)["n"].tolist() == [20, 20]
    cut = run(app, ["sql", str(dataset.folder), "from posts", "--rows", "2"])
    assert "--rows N" in cut.output
