"""Pictures are brought from beneath one place and from nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from evoked.errors import SettingsError
from evoked.posts.picture_places import PicturePlace


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "pictures" / "2024").mkdir(parents=True)
    (tmp_path / "pictures" / "2024" / "a.jpg").write_bytes(b"a picture")
    (tmp_path / "secret").write_bytes(b"not yours")
    (tmp_path / "pictures" / "link.jpg").symlink_to(tmp_path / "secret")
    return tmp_path / "pictures"


def outside(place: Path) -> list[str]:
    names = ["../secret", "2024/../../secret", "/etc/passwd", "C:\\secret", "s3://other/a.jpg", ""]
    return [*names, str(place.parent / "secret")]


def test_names_beneath_a_folder(place: Path, tmp_path: Path) -> None:
    names = ["2024/a.jpg", None, str(place / "2024/a.jpg"), "lost.jpg"]
    with PicturePlace(str(place)).brought([*names, *outside(place), "link.jpg"], tmp_path) as found:
        assert found.paths[:3] == [place / "2024/a.jpg", None, place / "2024/a.jpg"]
        assert found.paths[3] == place / "lost.jpg"  # its reader says what is wrong
        assert set(found.problems) == set(range(4, 4 + len(outside(place)) + 1))
        assert all("does not lie beneath" in why for why in found.problems.values())


def test_pictures_of_a_store_are_brought_and_removed(place: Path, tmp_path: Path) -> None:
    address, scratch = place.as_uri(), tmp_path / "scratch"
    scratch.mkdir()
    names = ["2024/a.jpg", f"{address}/2024/a.jpg", None, "lost.jpg", *outside(place)]
    with PicturePlace(address).brought(names, scratch) as found:
        brought = [path for path in found.paths if path is not None]
        assert [path.read_bytes() for path in brought] == [b"a picture"] * 2
        assert "can't be read" in found.problems[3]
        assert set(found.problems) == set(range(3, len(names)))
    assert not list(scratch.iterdir())
    with pytest.raises(SettingsError, match="no address"):
        PicturePlace("nowhere://pictures")
