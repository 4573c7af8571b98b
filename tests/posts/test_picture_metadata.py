"""Pictures without what a camera noted beside them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
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
NOTE = b"NOTE of somebody"
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


def plain(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), "teal").save(stream, kind, **options)
    return stream.getvalue()


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


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content


def small_copy_in_jfif() -> bytes:
    content = plain("JPEG")
    jfif = b"JFIF\0\1\1\0\0\1\0\1" + bytes([1, 4]) + NOTE[:12]
    return content[:2] + segment(0xE0, jfif) + content[20:]


def note_behind_adobe() -> bytes:
    content = plain("JPEG")
    return content[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + NOTE) + content[2:]


def note_behind_loops() -> bytes:
    content = plain("GIF", save_all=True, append_images=[Image.new("RGB", (60, 40))], loop=3)
    end = content.index(b"NETSCAPE2.0") + 15
    return content[:end] + bytes([len(NOTE)]) + NOTE + content[end:]


def note_in_frame() -> bytes:
    content = plain("WEBP", save_all=True, append_images=[Image.new("RGB", (60, 40))])
    begin = content.index(b"ANMF")
    end = begin + 8 + struct.unpack_from("<I", content, begin + 4)[0]
    frame = riff(b"ANMF", content[begin + 8 : end] + riff(b"META", NOTE))
    changed = content[8:begin] + frame + content[end:]
    return b"RIFF" + struct.pack("<I", len(changed)) + changed


def note_in_a_longer_bitmap() -> bytes:
    content = plain("BMP")
    return content[:2] + struct.pack("<I", len(content) + len(NOTE)) + content[6:] + NOTE


@pytest.mark.parametrize(
    "make",
    [
        small_copy_in_jfif,
        note_behind_adobe,
        note_behind_loops,
        note_in_frame,
        note_in_a_longer_bitmap,
    ],
)
def test_no_part_that_is_kept_carries_another(make: Callable[[], bytes]) -> None:
    content = make()
    found = without_metadata(content)
    assert NOTE[:12] in content
    assert NOTE[:12] not in found
    np.testing.assert_array_equal(load_image(found), load_image(content))


def test_a_picture_with_damaged_metadata_is_one() -> None:
    content = plain("PNG")
    note = b"eXIf" + b"no Exif data"
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    np.testing.assert_array_equal(
        load_image(content[:33] + chunk + content[33:]), load_image(content)
    )


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
