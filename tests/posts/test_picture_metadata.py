"""Pictures without what a camera noted beside them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from evoked.posts.dataset import PostDataset
from evoked.posts.images import load_image, read_header
from evoked.posts.importing import import_posts
from evoked.posts.picture_metadata import without_metadata
from tests.support.reader_sources import write_csv

SECRET = "somebody's own"
GPS_TAG = 0x8825


def picture(kind: str, orientation: int = 1, **options: Any) -> bytes:
    """A picture with notes of every kind that its format has, and something behind its end."""
    random = np.random.default_rng(0)
    pixels = Image.fromarray((random.random((40, 60, 3)) * 255).astype(np.uint8))
    notes = Image.Exif()
    notes[0x0112], notes[0x013B] = orientation, SECRET
    notes.get_ifd(GPS_TAG)[1], notes.get_ifd(GPS_TAG)[2] = "N", (52.0, 31.0, 12.0)
    text = PngInfo()
    text.add_text("Author", SECRET)
    own: dict[str, dict[str, Any]] = {
        "JPEG": {"exif": notes, "comment": SECRET.encode(), "xmp": SECRET.encode()},
        "MPO": {"exif": notes, "save_all": True, "append_images": [pixels.rotate(180)]},
        "PNG": {"exif": notes, "pnginfo": text},
        "WEBP": {"exif": notes, "xmp": SECRET.encode()},
        "GIF": {"comment": SECRET.encode(), "save_all": True, "append_images": [pixels]},
        "BMP": {},
    }
    stream = io.BytesIO()
    pixels.save(stream, kind, **own[kind], **options)
    return stream.getvalue() + SECRET.encode()


FORMATS = [("JPEG", {}), ("JPEG", {"progressive": True}), ("MPO", {}), ("PNG", {}), ("WEBP", {})]
FORMATS += [("WEBP", {"lossless": True}), ("GIF", {}), ("BMP", {})]


@pytest.mark.parametrize(("kind", "options"), FORMATS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_only_the_picture_is_kept(kind: str, options: dict[str, Any], orientation: int) -> None:
    content = picture(kind, orientation, **options)
    found = without_metadata(content)
    np.testing.assert_array_equal(load_image(found), load_image(content))
    assert SECRET.encode() in content
    assert SECRET.encode() not in found
    with Image.open(io.BytesIO(found)) as image:
        assert not image.getexif().get_ifd(GPS_TAG)
        assert dict(image.getexif()) in ({}, {0x0112: orientation})
    assert read_header(found).format == ("JPEG" if kind == "MPO" else kind)


def test_a_colour_profile_stays() -> None:
    content = picture("JPEG", icc_profile=b"\0" * 300)
    with Image.open(io.BytesIO(without_metadata(content))) as image:
        assert image.info["icc_profile"] == b"\0" * 300


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_a_file_that_is_cut_short_is_encoded_again_or_refused(kind: str) -> None:
    content = picture(kind)
    for end in range(20, len(content), 97):
        try:
            expected = load_image(content[:end])
        except Exception:
            continue
        np.testing.assert_array_equal(load_image(without_metadata(content[:end])), expected)


def test_imports_keep_no_metadata(tmp_path: Path) -> None:
    source = write_csv(
        tmp_path / "in" / "posts.csv", [{"id": "1", "caption": "a", "image": "a.jpg"}]
    )
    (source.parent / "a.jpg").write_bytes(picture("JPEG", 6))
    dataset = import_posts("csv", source, tmp_path / "out").dataset
    (name,) = dataset.posts["images"][0]
    stored = (dataset.image_folder / name).read_bytes()
    assert SECRET.encode() not in stored
    assert load_image(stored).shape == (60, 40, 3)


def test_copies_that_leave_keep_no_metadata(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.jpg").write_bytes(picture("JPEG"))
    (images / "b.jpg").write_bytes(b"no picture")
    posts = {"post_id": ["1", "2"], "images": [["a.jpg"], ["b.jpg", "lost.jpg"]]}
    dataset = PostDataset.create(tmp_path / "d", {"posts": pa.table(posts)}, images=images)
    folder = dataset.stripped_pictures(tmp_path / "stripped")
    assert [path.name for path in folder.iterdir()] == ["a.jpg"]
    assert SECRET.encode() not in (folder / "a.jpg").read_bytes()
