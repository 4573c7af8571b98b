"""Decoding pictures: intact ones look as they should, others give an ImageError."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from evoked.errors import ImageError
from evoked.posts import images
from evoked.posts.images import augment, augmented_view, load_image, read_header


def gradient(height: int = 60, width: int = 90) -> NDArray[np.uint8]:
    """A smooth picture: red grows to the right, green downwards."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([across, down, np.full_like(across, 80)], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


def png_of_declared_size(width: int, height: int) -> bytes:
    """A PNG with this size in its header and almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 99)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def mean_difference(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> float:
    return float(np.abs(left.astype(float) - right.astype(float)).mean())


def test_png_is_returned_exactly(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, gradient())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_formats_give_the_same_picture(format: str) -> None:
    loaded = load_image(encoded(Image.fromarray(gradient()), format=format))
    assert mean_difference(loaded, gradient()) < 4


def test_reduced_decoding_equals_full_decoding_and_resizing() -> None:
    picture = Image.fromarray(gradient(1200, 1600))
    expected = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC))
    loaded = load_image(encoded(picture, format="JPEG", quality=95), 224)
    assert loaded.shape == (224, 224, 3)
    assert mean_difference(loaded, expected) < 1.5


def test_small_pictures_are_enlarged() -> None:
    small = encoded(Image.fromarray(gradient(5, 9)), format="PNG")
    assert load_image(small, 64).shape == (64, 64, 3)


@pytest.mark.parametrize("size", [None, 48])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int, size: int | None) -> None:
    upright = Image.fromarray(gradient(48, 96))
    undo = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    transposition = undo.get(orientation, images._TRANSPOSITIONS.get(orientation))
    stored = upright.transpose(transposition) if transposition is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(encoded(stored, format="PNG", exif=exif), size)
    expected = upright if size is None else upright.resize((size, size), Image.Resampling.BICUBIC)
    assert loaded.shape == np.asarray(expected).shape
    assert mean_difference(loaded, np.asarray(expected)) < 2


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], format="GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load_image(data)[10, 10], [255, 0, 0])


def test_cmyk_jpeg() -> None:
    data = encoded(Image.fromarray(gradient()).convert("CMYK"), format="JPEG", quality=95)
    assert mean_difference(load_image(data), gradient()) < 6
    assert load_image(data, 32).shape == (32, 32, 3)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, axis=0)
    loaded = load_image(encoded(Image.fromarray(ramp), format="PNG"))
    np.testing.assert_allclose(loaded[0, :, 0], np.arange(256), atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    loaded = load_image(encoded(Image.fromarray(gradient()).convert(mode), format="PNG"), 24)
    assert loaded.shape == (24, 24, 3)


def test_transparency_becomes_white() -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2, :, 3] = 255
    loaded = load_image(encoded(Image.fromarray(pixels), format="PNG"))
    assert (loaded[:2] == 0).all()
    assert (loaded[2:] == 255).all()


def test_transparent_palette_becomes_white() -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    assert (load_image(encoded(picture, format="GIF", transparency=1)) == 255).all()


def test_header(tmp_path: Path) -> None:
    Image.fromarray(gradient(30, 70)).save(tmp_path / "a.jpg")
    header = read_header(tmp_path / "a.jpg")
    assert (header.format, header.width, header.height) == ("JPEG", 70, 30)


def test_fifty_megapixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*arguments: object) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr(images, "_decode", decode)
    with pytest.raises(ImageError, match=r"10000 × 5000.*40 megapixels"):
        load_image(png_of_declared_size(10_000, 5_000), 224)


def test_a_gigapixel_is_refused() -> None:
    with pytest.raises(ImageError, match="40 megapixels"):
        read_header(png_of_declared_size(60_000, 60_000))


def test_truncated_jpeg(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(gradient(400, 400)), format="JPEG")
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"cut\.jpg.*damaged or cut short"):
        load_image(tmp_path / "cut.jpg", 64)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [None, 64])
def test_a_jpeg_that_lacks_only_its_end_mark(progressive: bool, size: int | None) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), format="JPEG", progressive=progressive)
    assert data.endswith(b"\xff\xd9")
    for missing in (1, 2):
        assert np.array_equal(load_image(data[:-missing], size), load_image(data, size))
    for missing in (40, 200):
        with pytest.raises(ImageError, match="damaged or cut short"):
            load_image(data[:-missing], size)


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
def test_pictures_of_phones(format: str) -> None:
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    Image.init()
    if format not in Image.SAVE:
        pytest.skip("this Pillow does not write the format")
    pixels = gradient(64, 48)
    data = encoded(Image.fromarray(pixels), format=format, quality=95)
    assert np.abs(load_image(data).astype(int) - pixels).mean() < 5


def test_a_picture_that_needs_a_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(ImageError, match=r"needs evoked\[heic\].*pip install"):
        load_image(b"\0\0\0\x18ftypheic" + b"\0" * 100)


def test_text_named_jpg(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("Not a picture at all.\n" * 50)
    with pytest.raises(ImageError, match=r"text\.jpg.*not a picture"):
        load_image(tmp_path / "text.jpg")


def test_formats_off_the_list_are_refused() -> None:
    with pytest.raises(ImageError, match="expected one of JPEG"):
        load_image(encoded(Image.fromarray(gradient()), format="TGA"))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "RGBA", "I;16", "F"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
def test_tiff_of_any_kind_is_the_same_picture(mode: str, compression: str) -> None:
    original = Image.fromarray(gradient())
    grey = np.asarray(original.convert("L"))
    deep = {"I;16": grey.astype(np.uint16) * 257, "F": grey.astype(np.float32) / 255}
    image = Image.fromarray(deep[mode]) if mode in deep else original.convert(mode)
    same = original if mode == "CMYK" else original.convert("L") if mode in deep else image
    expected = load_image(encoded(same, format="PNG"))
    found = load_image(encoded(image, format="TIFF", compression=compression))
    assert np.abs(found.astype(int) - expected).mean() < 1


@pytest.mark.parametrize("turned", range(1, 9))
def test_tiff_is_turned_once(turned: int) -> None:
    original, exif = Image.fromarray(gradient(12, 20)), Image.Exif()
    exif[0x0112] = turned
    tiff, png = (load_image(encoded(original, format=each, exif=exif)) for each in ("TIFF", "PNG"))
    np.testing.assert_array_equal(tiff, png)


def test_tiff_is_bounded() -> None:
    """By what its header says, before anything is decoded."""
    bomb = bytearray(encoded(Image.fromarray(gradient()), format="TIFF"))
    for tag in (256, 257):  # width and height, which a little-endian entry holds at its end
        place = (
            bomb.index(struct.pack("<HH", tag, 4))
            if struct.pack("<HH", tag, 4) in bomb
            else (bomb.index(struct.pack("<HH", tag, 3)))
        )
        bomb[place + 2 : place + 12] = struct.pack("<HII", 4, 1, 60_000)
    with pytest.raises(ImageError, match="megapixels"):
        load_image(bytes(bomb))


def test_empty_missing_and_oversized_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match="empty"):
        load_image(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match="does not exist"):
        load_image(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="not a file"):
        load_image(tmp_path)
    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    with pytest.raises(ImageError, match="at most 1 MiB"):
        load_image(b"\xff\xd8" + b"\0" * 2**21)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_an_array_or_an_image_error(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]))
    original = bytearray(encoded(Image.fromarray(gradient(24, 32)), format=format))
    for _ in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.integers(0, len(original) - 1))
        original[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        assert load_image(bytes(original), 16).shape == (16, 16, 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(8, 60), st.integers(8, 60))
def test_augmented_pictures_keep_their_shape(seed: int, height: int, width: int) -> None:
    image = gradient(height, width)
    augmented = augment(image, seed)
    assert augmented.shape == image.shape
    assert augmented.dtype == np.uint8
    np.testing.assert_array_equal(augmented, augment(image, seed))


def test_augmentation_stays_within_table_3() -> None:
    grey = np.full((64, 64, 3), 100, np.uint8)
    levels = [augment(grey, seed).mean() for seed in range(200)]
    assert 89.5 <= min(levels) < 93
    assert 107 < max(levels) <= 110.5


def test_rotation_brings_in_no_black_corners() -> None:
    white = np.full((65, 65, 3), 200, np.uint8)
    assert min(augment(white, seed).min() for seed in range(50)) >= 180


def test_views() -> None:
    image = gradient(32, 32)
    assert augmented_view(image, 0) is image
    np.testing.assert_array_equal(augmented_view(image, 1), augmented_view(image, 1))
    assert (augmented_view(image, 1) != augmented_view(image, 2)).any()
    others = [gradient(32, 32 + extra) for extra in range(12)]
    flipped = [augmented_view(other, 1)[:, 0, 0].mean() > 128 for other in others]
    assert 0 < sum(flipped) < len(flipped)
