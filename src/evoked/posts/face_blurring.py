"""Blurring faces in pictures, so strongly that it can't be undone."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from evoked.posts.images import load_image

FaceFinder = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From uint8 RGB (height, width, 3) to boxes (faces, 4): left, top, width, height as shares."""

# A face is reduced to a grid of 6 × 6 colours, whatever its size. A blur by convolution would keep
# more, and sharpening could bring it back.
_CELLS = 6
# Detectors frame eyes, nose and mouth: hair, chin and ears lie outside of their boxes.
_MARGIN = 0.3
_QUALITY = 92


def blur_faces(content: bytes, find_faces: FaceFinder) -> tuple[bytes, int]:
    """Encode a picture again as JPEG, with its faces blurred.

    Pictures without a face are encoded again as well: a camera's metadata (place, owner, thumbnail)
    and further frames of an animation could give away what was blurred.

    Parameters
    ----------
    content
        The bytes of the picture's file.
    find_faces
        Function that finds the faces; see :data:`FaceFinder`.

    Returns
    -------
    The bytes of the new file, and how many faces were blurred (see :func:`count_faces`).

    Raises
    ------
    ImageError
        The picture can't be decoded within the bounds.
    """
    pixels = load_image(content)
    boxes = find_faces(pixels)
    picture = Image.fromarray(pixels)
    for box in boxes:
        _blur(picture, box)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue(), count_faces(boxes)


def count_faces(boxes: NDArray[np.float32]) -> int:
    """Number of faces in boxes (n, 4); a box whose centre lies in an earlier one is no new face."""
    kept: list[NDArray[np.float32]] = []
    for box in boxes:
        centre = box[:2] + box[2:] / 2
        if not any(
            np.all((other[:2] <= centre) & (centre <= other[:2] + other[2:])) for other in kept
        ):
            kept.append(box)
    return len(kept)


def _blur(picture: Image.Image, box: NDArray[np.float32]) -> None:
    """Replace the ellipse around a box with a few blended colours, in place."""
    margin = box[2:] * _MARGIN
    corners = np.concatenate([box[:2] - margin, box[:2] + box[2:] + margin]).clip(0, 1)
    size = np.array([picture.width, picture.height] * 2)
    left, top, right, bottom = (int(edge) for edge in np.rint(corners * size))
    if right <= left or bottom <= top:
        return
    face = picture.crop((left, top, right, bottom))
    cells = face.resize((_CELLS, _CELLS), Image.Resampling.BOX)
    mask = Image.new("L", face.size)
    ImageDraw.Draw(mask).ellipse((0, 0, face.width - 1, face.height - 1), fill=255)
    picture.paste(cells.resize(face.size, Image.Resampling.BICUBIC), (left, top), mask)
