"""The last known followers of authors."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evoked.errors import DataError
from evoked.posts.author_hashes import hashes
from evoked.posts.author_profiles import AuthorProfiles

POSTS = pd.DataFrame(
    {
        "author_id": ["a", "a", "a", "b", None, "a"],
        "posted_at": pd.to_datetime(
            ["2024-03-01", "2024-01-01", "2024-04-01", "2024-01-01", "2024-01-01", None], utc=True
        ),
        "followers": [30.0, 10.0, None, 7.0, 99.0, 1.0],
        "following": [None, 5.0, None, None, 99.0, 2.0],
        "author_posts": None,
    }
)


def test_the_latest_post_that_knows_a_count_gives_it(tmp_path: Path) -> None:
    a, b = hashes(pd.Series(["a", "b"]))
    profiles = AuthorProfiles.of(POSTS)
    assert profiles.known == {a: {"followers": 30, "following": 5}, b: {"followers": 7}}
    profiles.save(tmp_path / "profiles.json")
    assert AuthorProfiles.load(tmp_path / "profiles.json") == profiles


@pytest.mark.parametrize(
    "content", ["[]", '{"a": 3}', '{"a": {"likes": 3}}', '{"a": {"followers": "3"}}']
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "profiles.json").write_text(content)
    with pytest.raises(DataError, match=r"profiles\.json: not the authors' last known followers"):
        AuthorProfiles.load(tmp_path / "profiles.json")
