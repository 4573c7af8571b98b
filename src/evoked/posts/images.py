"""Decode pictures safely: bounds on bytes and pixels, and either an array or an ImageError."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evoked.errors import ImageError

MAX_PIXELS = 40_000_000
"""Most pixels that a picture may declare: enough for the default sizes of all phone cameras."""

MAX_BYTES = 64 * 2**20
"""Largest file that is opened."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "MPO", "AVIF", "HEIF", "TIFF")
"""What social networks serve, phones write and photographers hand in. EPS, PSD … have large
decoders and occur in no posts. AVIF takes Pillow 11.3 or later, HEIF the package pillow-heif
(``evoked[heic]``)."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif")
_AVIF_BRANDS = (b"avif", b"avis")

MAX_ROTATION = 10.0
"""Degrees, either way (ABMF, Table 3)."""

MAX_BRIGHTNESS_CHANGE = 0.1
"""Share of the brightness, either way (ABMF, Table 3)."""

_ORIENTATION_TAG = 0x0112
_END_MARK = b"\xff\xd9"
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class ImageHeader:
    """What a picture's header says; width and height in pixels, as stored."""

    format: str
    width: int
    height: int


def read_header(source: Path | str | bytes) -> ImageHeader:
    """Read a picture's header without decoding its pixels.

    Raises
    ------
    ImageError
        As :func:`load_image`, except that damage after the header is not noticed.
    """
    with _opened(source) as image:
        return ImageHeader(str(image.format), image.width, image.height)


def load_image(source: Path | str | bytes, size: int | None = None) -> NDArray[np.uint8]:
    """Decode a picture to RGB.

    The orientation in the metadata is applied, transparency becomes white, 16-bit grey is scaled to
    8 bits, and an animation gives its first frame.

    Parameters
    ----------
    source
        A file, or its bytes.
    size
        Edge in pixels of the square to which the whole picture is resized, with antialiasing and
        whatever its aspect ratio; JPEGs are then decoded at a reduced scale. None keeps the
        picture's own size.

    Returns
    -------
    uint8, (size, size, 3), or (height, width, 3) when ``size`` is None.

    Raises
    ------
    ImageError
        No file, more than 64 MiB, more than 40 megapixels (refused before decoding), not one of
        ``FORMATS``, or damaged.
    """
    with _opened(source) as image:
        try:
            return _decode(image, size)
        except Exception as error:  # decoders raise every kind of exception on hostile bytes
            whole = _without_end_mark(source, size) if image.format in ("JPEG", "MPO") else None
            if whole is not None:
                return whole
            raise ImageError(
                f"the picture is damaged or cut short ({_reason(error)}).",
                file=_name(source),
                fix="Replace the file with an intact copy.",
            ) from error


def augment(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Flip, rotate and brighten a picture at random (ABMF, Table 3).

    It is mirrored left to right half of the time, rotated by at most ±10°, and its brightness is
    changed by at most ±10 %. The corners that the rotation uncovers are filled with the mirrored
    border, which has no edge that a model could learn.

    Parameters
    ----------
    image
        uint8 RGB, (height, width, 3).
    seed
        The same picture and seed give the same result.

    Returns
    -------
    uint8, the shape of ``image``.
    """
    random = np.random.default_rng(seed)
    flip = random.random() < 0.5
    angle = random.uniform(-MAX_ROTATION, MAX_ROTATION)
    brightness = 1 + random.uniform(-MAX_BRIGHTNESS_CHANGE, MAX_BRIGHTNESS_CHANGE)
    rotated = _rotate(image[:, ::-1] if flip else image, angle)
    return np.clip(rotated * brightness + 0.5, 0, 255).astype(np.uint8)


def augmented_view(image: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
    """The ``view``-th augmented copy of a picture; view 0 is the picture itself.

    The changes depend only on the picture's content and on ``view``, so views can be cached, and
    view 1 isn't the same flip for every picture.
    """
    if view == 0:
        return image
    return augment(image, seed=(zlib.crc32(image.tobytes()) << 16) + view)


def _without_end_mark(source: Path | str | bytes, size: int | None) -> NDArray[np.uint8] | None:
    """A JPEG's pixels if it lacks nothing but the mark at its end; None otherwise.

    What follows the last pixel changes none. So if pixels change with what is put in front of the
    mark, some are missing.
    """
    content = source if isinstance(source, bytes) else Path(source).read_bytes()
    content = content.removesuffix(b"\xff")
    decoded = []
    for filling in (b"", b"\x55" * 64, b"\xaa" * 64):
        try:
            with Image.open(io.BytesIO(content + filling + _END_MARK), formats=("JPEG",)) as image:
                decoded.append(_decode(image, size))
        except Exception:  # it is damaged in other ways
            return None
    return decoded[0] if all(np.array_equal(decoded[0], other) for other in decoded) else None


@contextmanager
def _opened(source: Path | str | bytes) -> Iterator[Image.Image]:
    """Open a picture, its header read and its bounds checked, nothing decoded."""
    name = _name(source)
    _check_bytes(source, name)
    try:
        image = Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats(source)
        )
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels("far", name) from error
    except Exception as error:  # so do parsers of headers on hostile bytes
        package = _package_for(source)
        if package:
            raise ImageError(
                f"a picture in a format that needs {package}.",
                file=name,
                fix=f"Install it (pip install '{package}'), or save the picture as JPEG.",
            ) from error
        raise ImageError(
            f"not a picture that can be read; expected one of {', '.join(FORMATS)}.",
            file=name,
            fix="Check that the file is what its name says, or save it again as JPEG or PNG.",
        ) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels(f"{image.width} × {image.height} pixels,", name)
        yield image


def _brand(source: Path | str | bytes) -> bytes:
    """The brand of a picture in the container that HEIC and AVIF share; empty for others."""
    if isinstance(source, bytes):
        start = source[:12]
    else:
        with Path(source).open("rb") as stream:
            start = stream.read(12)
    return start[8:12] if start[4:8] == b"ftyp" else b""


def _formats(source: Path | str | bytes) -> list[str]:
    """The formats to try, among those that the installed libraries read."""
    known = [name for name in FORMATS if name != "HEIF"]
    if _brand(source) in _HEIF_BRANDS:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            return known
        register_heif_opener(thumbnails=False)
        known.append("HEIF")
    Image.init()
    return [name for name in known if name in Image.OPEN]


def _package_for(source: Path | str | bytes) -> str:
    """What to install for a picture that could not be opened; "" if that would not help."""
    if _brand(source) in _HEIF_BRANDS and "HEIF" not in Image.OPEN:
        return "evoked[heic]"
    if _brand(source) in _AVIF_BRANDS and "AVIF" not in Image.OPEN:
        return "pillow>=11.3"
    return ""


def _check_bytes(source: Path | str | bytes, name: str) -> None:
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise ImageError("the picture does not exist, or is not a file.", file=name)
    length = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    if length == 0:
        raise ImageError("the picture's file is empty.", file=name)
    if length > MAX_BYTES:
        raise ImageError(
            f"{length / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are opened.",
            file=name,
            fix="Save the picture at a smaller size.",
        )


def _too_many_pixels(how_many: str, name: str) -> ImageError:
    return ImageError(
        f"{how_many} more than the {MAX_PIXELS // 10**6} megapixels that are decoded.",
        file=name,
        fix="Save the picture at a smaller size.",
    )


def _decode(image: Image.Image, size: int | None) -> NDArray[np.uint8]:
    # Pillow turns a TIFF itself while it decodes it.
    orientation = None if image.format == "TIFF" else _orientation(image)
    if size is not None:
        image.draft("RGB", (size, size))  # JPEG only: decode at 1/2, 1/4 or 1/8
    rgb = _to_rgb(image)
    if size is not None:
        rgb = rgb.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    transposition = None if orientation is None else _TRANSPOSITIONS.get(orientation)
    if transposition is not None:
        rgb = rgb.transpose(transposition)
    return np.array(rgb)


def _orientation(image: Image.Image) -> int | None:
    """How a picture says that it is turned; None if its metadata is damaged, or says nothing."""
    try:
        found = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # parsers of metadata raise errors of every kind
        return None
    return found if isinstance(found, int) else None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip it at 255
        image = Image.fromarray((np.asarray(image).astype(np.float32) / 257 + 0.5).astype(np.uint8))
    if image.mode == "F":  # grey as fractions, from 0 to 1 or to 255
        grey = np.nan_to_num(np.asarray(image))
        grey = grey * 255 if grey.max() <= 1 else grey
        image = Image.fromarray((grey.clip(0, 255) + 0.5).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _rotate(image: NDArray[np.uint8], angle: float) -> NDArray[np.float32]:
    """Rotate about the centre by at most MAX_ROTATION degrees, mirroring the border."""
    height, width = image.shape[:2]
    margin = math.ceil(max(height, width) / 2 * math.sin(math.radians(MAX_ROTATION))) + 1
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    rotated = Image.fromarray(padded).rotate(angle, Image.Resampling.BILINEAR)
    inner = (slice(margin, margin + height), slice(margin, margin + width))
    return np.asarray(rotated, dtype=np.float32)[inner]


def _name(source: Path | str | bytes) -> str:
    return "<bytes>" if isinstance(source, bytes) else str(source)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__
