"""Taking out of a picture's file what a camera or a program noted beside the picture.

Place, time, owner, serial numbers, small copies of what was cut away and whole videos lie in the
segments that are left out here. The picture itself is copied as it is, bit by bit; only how it is
to be turned, and its colour profile, are kept beside it.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from evoked.errors import ImageError
from evoked.posts.images import load_image, read_header

_ORIENTATION_TAG = 0x0112
# After the header of a scan, 0xFF begins a marker unless a null byte or a restart follows.
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}
# Frames, tables, scans and how often one restarts. Besides: JFIF, the colour profile, and Adobe's
# note on how colours are coded.
_OF_PICTURE = {*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xDE)}
_PROFILE = b"ICC_PROFILE\x00"
_ADOBE = b"Adobe"
_ADOBE_BYTES = 12
_PNG_KEPT = {
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB",
    b"bKGD", b"pHYs", b"cICP", b"acTL", b"fcTL", b"fdAT",
}  # fmt: skip
_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_WEBP_KEPT = {b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ICCP"}
_WEBP_FRAME_KEPT = {b"VP8 ", b"VP8L", b"ALPH"}
_VP8X_BYTES, _FRAME_BYTES = 10, 16
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def without_metadata(content: bytes) -> bytes:
    """A picture's file without metadata.

    Parameters
    ----------
    content
        The bytes of a file in one of :data:`evoked.posts.images.FORMATS`.

    Returns
    -------
    The bytes of a file of the same format whose pixels are the same; of an MPO file its first
    picture, as JPEG. A file that is built in no way that is known here is encoded again as PNG.

    Raises
    ------
    ImageError
        The picture can't be decoded within the bounds.
    """
    kind = read_header(content).format
    try:
        stripped = _STRIPPERS[kind](content)
        read_header(stripped)
    except (IndexError, KeyError, ValueError, struct.error, ImageError):
        return _encoded_again(content)
    return stripped


def _encoded_again(content: bytes) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(load_image(content)).save(stream, "PNG")
    return stream.getvalue()


def _orientation(content: bytes) -> int:
    with Image.open(io.BytesIO(content)) as image:
        try:
            turned = image.getexif().get(_ORIENTATION_TAG, 1)
        except Exception:  # parsers of metadata raise errors of every kind
            return 1
    return turned if turned in range(2, 9) else 1


def _exif(orientation: int) -> bytes:
    """Exif data that hold nothing but how the picture is turned."""
    return b"MM\x00*\x00\x00\x00\x08" + struct.pack(
        ">HHHIHHI", 1, _ORIENTATION_TAG, 3, 1, orientation, 0, 0
    )


def _jpeg(content: bytes) -> bytes:
    parts, place = [content[:2]], 2
    if content[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    turned = _orientation(content)
    if turned != 1:
        note = b"Exif\x00\x00" + _exif(turned)
        parts.append(b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note)
    while True:
        while content[place] == 0xFF and content[place + 1] == 0xFF:  # fill bytes
            place += 1
        if content[place] != 0xFF:
            raise ValueError("no marker")
        marker = content[place + 1]
        if marker == _END_OF_IMAGE:
            return b"".join([*parts, b"\xff\xd9"])
        if marker in _ALONE:
            parts.append(content[place : place + 2])
            place += 2
            continue
        end = place + 2 + struct.unpack_from(">H", content, place + 2)[0]
        if end > len(content) or end < place + 4:
            raise ValueError("cut short")
        if kept := _kept(marker, content[place + 4 : end]):
            parts.append(content[place : place + 2] + struct.pack(">H", len(kept) + 2) + kept)
        place = end
        if marker == _START_OF_SCAN:
            found = _MARKER_IN_SCAN.search(content, place)
            if found is None:  # no end mark, which decoders forgive
                return b"".join([*parts, content[place:], b"\xff\xd9"])
            parts.append(content[place : found.end() - 2])
            place = found.end() - 2


def _kept(marker: int, segment: bytes) -> bytes:
    """What stays of a segment: nothing of notes and of markers that belong to no picture."""
    if marker == 0xE0 and segment.startswith(b"JFIF\x00"):
        # It may hold a small copy of what was cut away: 0 × 0 pixels of it stay.
        return segment[:12] + b"\x00\x00"
    if marker == 0xE2 and segment.startswith(_PROFILE):
        return segment
    if marker == 0xEE and segment.startswith(_ADOBE):
        return segment[:_ADOBE_BYTES]
    return segment if marker in _OF_PICTURE else b""


def _png(content: bytes) -> bytes:
    parts, place = [_PNG_MARK], len(_PNG_MARK)
    if not content.startswith(_PNG_MARK):
        raise ValueError("no PNG")
    turned = _orientation(content)
    while True:
        length = struct.unpack_from(">I", content, place)[0]
        kind, end = content[place + 4 : place + 8], place + 12 + length
        if end > len(content):
            raise ValueError("cut short")
        if kind in _PNG_KEPT:
            parts.append(content[place:end])
        if kind == b"IHDR" and turned != 1:
            parts.append(_png_chunk(b"eXIf", _exif(turned)))
        if kind == b"IEND":
            return b"".join(parts)
        place = end


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )  # fmt: skip


def _webp(content: bytes) -> bytes:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise ValueError("no WebP")
    turned = _orientation(content)
    end = min(len(content), 8 + struct.unpack_from("<I", content, 4)[0])
    parts = []
    for kind, body in _riff_chunks(content[12:end]):
        if kind == b"VP8X":
            flags = body[0] & ~(_WEBP_EXIF | _WEBP_XMP) | (_WEBP_EXIF if turned != 1 else 0)
            parts.append(_riff_chunk(kind, bytes([flags]) + body[1:_VP8X_BYTES]))
        elif kind == b"ANMF":
            parts.append(_riff_chunk(kind, _frame(body)))
        elif kind in _WEBP_KEPT:
            parts.append(_riff_chunk(kind, body))
    if turned != 1:
        parts.append(_riff_chunk(b"EXIF", _exif(turned)))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _frame(content: bytes) -> bytes:
    """A frame of an animation, of which only what its picture is made of stays."""
    kept = (each for each in _riff_chunks(content[_FRAME_BYTES:]) if each[0] in _WEBP_FRAME_KEPT)
    return content[:_FRAME_BYTES] + b"".join(_riff_chunk(*each) for each in kept)


def _riff_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(content):
        kind, length = content[place : place + 4], struct.unpack_from("<I", content, place + 4)[0]
        yield kind, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\x00" * (len(content) % 2)


def _gif(content: bytes) -> bytes:
    place = 13 + _colours(content[10])
    parts = [content[:place]]
    while True:
        begin, mark = place, content[place]
        if mark == 0x3B:
            return b"".join([*parts, b";"])
        if mark == 0x2C:
            place += 10 + _colours(content[place + 9])
            place = _after_blocks(content, place + 1)
            parts.append(content[begin:place])
            continue
        if mark != 0x21:
            raise ValueError("no block of a GIF")
        kind = content[place + 1]
        named = content[place + 3 : place + 14]
        place = _after_blocks(content, place + 2)
        if kind == 0xF9:
            parts.append(content[begin : begin + 7] + b"\x00")
        elif kind == 0xFF and named in _LOOPS:  # only how often it is repeated
            parts.append(content[begin : begin + 18] + b"\x00")


def _colours(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, place: int) -> int:
    while content[place]:
        place += 1 + content[place]
    return place + 1


def _bmp(content: bytes) -> bytes:
    """A bitmap's header says itself where its pixels begin and where it ends, so that it has room
    for anything: the picture is written anew."""
    stream = io.BytesIO()
    Image.fromarray(load_image(content)).save(stream, "BMP")
    return stream.getvalue()


_STRIPPERS: dict[str, Callable[[bytes], bytes]] = {
    "JPEG": _jpeg,
    "MPO": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
}
