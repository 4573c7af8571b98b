"""Nothing that its owner kept leaves in an output, and the search would find it if it did."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import outputs
import pandas as pd
import pytest
from PIL import Image

from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts
from tests.support.reader_sources import write_csv

AUTHOR = "ines_from_lisbon"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    """Posts with pictures that hold what cameras note."""
    folder = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(0)
    rows = []
    for number in range(40):
        pixels = np.full((48, 64, 3), random.integers(0, 256, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
        words = " ".join(random.choice(["tea", "sea", "sun", "rain", "walk"], 4))
        rows.append(
            {
                "id": f"identifier{number:03d}",
                "author": AUTHOR,
                "caption": f"{words} #tea with @friend_of_ines",
                "date": f"2024-{number // 28 + 1:02d}-{number % 28 + 1:02d}T10:00:00Z",
                "likes": int(random.integers(10, 500)),
                "comments": int(random.integers(0, 50)),
                "valence": float(random.uniform(1, 9)),
                "arousal": float(random.uniform(1, 9)),
                "category": "food",
                "image": f"{number}.jpg",
            }
        )
    made = import_posts("csv", write_csv(folder / "posts.csv", rows), folder / "posts").dataset
    outputs.plant(made)
    return made


@pytest.mark.slow
def test_nothing_leaves_with_the_outputs_of_commands(dataset: PostDataset, tmp_path: Path) -> None:
    places = outputs.make_outputs(dataset, tmp_path, tmp_path / "cache", 2)
    protected, others = outputs.secrets_of(dataset, tmp_path, dataset.folder.parent)
    assert {AUTHOR, "friend_of_ines"} <= protected.accounts
    assert {"identifier000"} < protected.posts == others.posts
    for name, place in places.items():
        secrets = protected if name == "protected" else others
        if name == "predictions":
            secrets = outputs.Secrets(paths=others.paths)
        found = outputs.search(place, secrets)
        assert found.files > 0
        assert not +found.leaks, (name, found)
        assert found.pictures > 0 or name == "predictions"


@pytest.mark.parametrize("way", ["plain", "zip", "base64", "parquet", "name"])
def test_the_search_finds_what_is_there(way: str, dataset: PostDataset, tmp_path: Path) -> None:
    picture = sorted((dataset.folder / "images").iterdir())[0].read_bytes()
    content = f"{AUTHOR} identifier001 {tmp_path.resolve()}".encode()
    if way == "plain":
        (tmp_path / "a.html").write_bytes(content)
        (tmp_path / "a.jpg").write_bytes(picture)
    elif way == "name":
        (tmp_path / f"{AUTHOR} identifier001").write_bytes(picture)
        (tmp_path / "b").write_bytes(str(tmp_path.resolve()).encode())
    elif way == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", content)
            archive.writestr("a.jpg", picture)
    elif way == "base64":
        coded = [base64.b64encode(each) for each in (picture, content)]
        page = b"".join(b'<img src="data:image/jpeg;base64,%s">' % each for each in coded)
        (tmp_path / "a.html").write_bytes(page)
    else:
        pd.DataFrame({"a": [content.decode()] * 999}).to_parquet(tmp_path / "a.parquet")
        (tmp_path / "a.jpg").write_bytes(picture)
    protected, _ = outputs.secrets_of(dataset, tmp_path)
    found = outputs.search(tmp_path, protected)
    assert set(+found.leaks) == set(outputs.KINDS)


def test_stripped_pictures_and_other_names_are_no_leak(
    dataset: PostDataset, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    stream = io.BytesIO()
    turned = Image.Exif()
    turned[0x0112] = 6  # how it is turned says nothing of anybody
    Image.new("RGB", (40, 40), "red").save(stream, "JPEG", exif=turned)
    (tmp_path / "in/a.jpg").write_bytes(stream.getvalue())
    (tmp_path / "in/a.html").write_bytes(b"Test post 3 of an account: tea with a friend")
    found = outputs.search(tmp_path / "in", outputs.secrets_of(dataset, tmp_path)[0])
    assert not +found.leaks
    assert (found.files, found.pictures) == (2, 1)
