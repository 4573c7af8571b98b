"""Draw the pictures of synthetic posts: motifs, each with its own mood, over a quiet landscape.

The kind of a motif shows in its hue and outline, its valence in how light, saturated and smooth it
is, its arousal in its size, stripes and the strokes that burst from it; so both can be read from
the region that the motif covers. The landscape has dull colours and shows the mood of the whole
picture. A face, where there is one, smiles or frowns, and says nothing of the rest.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGE_SIZE = 320
# Motifs are placed in the cells of a 3 × 3 grid, so that none covers another.
PLACES = 9
JPEG_QUALITY = 90

Picture = NDArray[np.uint8]
Colour = tuple[float, float, float]
Outline = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
_OUTLINE_POINTS = 96


@dataclass(frozen=True)
class Motif:
    """One motif of a picture.

    Attributes
    ----------
    kind
        A name of :data:`MOTIFS`.
    place
        Cell of the 3 × 3 grid, 0 … 8, row by row from the top left.
    valence, arousal
        Its mood, each in [-1, 1].
    """

    kind: str
    place: int
    valence: float
    arousal: float


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes
    ----------
    place
        As of a :class:`Motif`.
    smile
        From -1, a frown, to 1, a wide smile with teeth.
    tone
        Number of its skin colour, 0 … 3.
    """

    place: int
    smile: float
    tone: int


def _disc(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ones_like(angle)


def _petals(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.82 + 0.2 * np.cos(6 * angle)


def _drop(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """A disc with two tangents that meet in a tip above it (y points down)."""
    disc, tip = 0.72, 1.3
    touch = np.arccos(disc / tip)
    from_tip = np.abs((angle + 1.5 * np.pi) % (2 * np.pi) - np.pi)
    return disc / np.cos(np.clip(touch - from_tip, 0, touch))


def _rhombus(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.95 / (np.abs(np.cos(angle)) / 0.78 + np.abs(np.sin(angle)) / 1.08)


def _pool(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.72 / np.sqrt((np.cos(angle) / 1.6) ** 2 + np.sin(angle) ** 2)


def _canopy(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """A half disc: full above the middle, cut off a little below it."""
    return np.minimum(1.05, 0.3 / np.maximum(np.sin(angle), 1e-6))


def _crown(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.86 + 0.1 * np.abs(np.sin(2.5 * angle + 0.6))


def _balloon(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.8 / np.sqrt((np.cos(angle) / 0.96) ** 2 + (np.sin(angle) / 1.15) ** 2)


# Hue in degrees and outline (radius by angle) of every kind of motif.
_KINDS: dict[str, tuple[float, Outline]] = {
    "sun": (50, _disc),
    "flame": (24, _drop),
    "balloon": (356, _balloon),
    "flower": (318, _petals),
    "kite": (274, _rhombus),
    "pond": (222, _pool),
    "umbrella": (180, _canopy),
    "tree": (112, _crown),
}
MOTIFS = tuple(_KINDS)


def motif_box(motif: Motif, jitter: tuple[float, float]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a motif in pixels."""
    radius = _radius(motif)
    x, y = _centre(motif, jitter)
    return x - radius, y - radius, x + radius, y + radius


def draw_picture(
    motifs: list[Motif],
    jitter: NDArray[np.float64],
    scene: float,
    category: str,
    rng: np.random.Generator,
    face: Face | None = None,
) -> Picture:
    """Draw one picture.

    Parameters
    ----------
    motifs
        The motifs to draw.
    jitter
        Offset of each motif from the middle of its cell in pixels, (motifs, 2).
    scene
        Valence of the landscape in [-1, 1].
    category
        Product category, shown as a small sign in a corner.
    rng
        Random generator.
    face
        The face to draw, if any; the rest of the picture is the same without.

    Returns
    -------
    uint8 RGB, (IMAGE_SIZE, IMAGE_SIZE, 3)
    """
    picture = _landscape(scene, rng)
    for motif, offset in zip(motifs, jitter, strict=True):
        _draw_motif(picture, motif, (float(offset[0]), float(offset[1])), rng)
    if face is not None:
        _draw_face(picture, face)
    _draw_sign(picture, category)
    return picture


def encode_jpeg(picture: Picture) -> bytes:
    """JPEG bytes of an RGB picture."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def _blend(gloomy: float, cheerful: float, valence: float) -> float:
    return gloomy + (cheerful - gloomy) * (valence + 1) / 2


def _mixed(gloomy: Colour, cheerful: Colour, valence: float) -> NDArray[np.float64]:
    """RGB of a colour between two that are given by hue, saturation and value."""
    dark, light = np.array(_rgb(*gloomy)), np.array(_rgb(*cheerful))
    return dark + (light - dark) * (valence + 1) / 2


def _radius(motif: Motif) -> float:
    return _blend(31, 43, motif.arousal)


def _centre(motif: Motif | Face, jitter: tuple[float, float]) -> tuple[float, float]:
    row, column = divmod(motif.place, 3)
    return 62 + 98 * column + jitter[0], 60 + 96 * row + jitter[1]


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(np.stack([x, y], axis=-1) * 2**_SHIFT).astype(np.int32)


def _fill(
    picture: Picture, x: NDArray[np.float64], y: NDArray[np.float64], colour: Colour | float
) -> None:
    cv2.fillPoly(picture, [_points(x, y)], colour, cv2.LINE_AA, _SHIFT)


def _stroke(
    picture: Picture,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    colour: Colour,
    width: int = 2,
) -> None:
    cv2.polylines(picture, [_points(x, y)], False, colour, width, cv2.LINE_AA, _SHIFT)


def _landscape(scene: float, rng: np.random.Generator) -> Picture:
    """Draw the sky and two ranges of hills: pale and warm, or dim and cold."""
    turn = rng.uniform(-12, 12)
    # RGB is mixed, not hues: halfway between cold and warm is a pale grey, not green.
    sky_top = _mixed((222 + turn, 0.24, 0.34), (204 + turn, 0.22, 0.96), scene)
    sky_low = _mixed((236 + turn, 0.16, 0.48), (38 + turn, 0.16, 0.99), scene)
    fall = np.linspace(0, 1, IMAGE_SIZE)[:, None, None]
    sky = sky_top + (sky_low - sky_top) * fall
    picture = np.repeat(sky.round().astype(np.uint8), IMAGE_SIZE, axis=1)
    across = np.linspace(0, IMAGE_SIZE, 33)
    for height, dim in ((rng.uniform(215, 240), 0.9), (rng.uniform(258, 280), 0.8)):
        phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(1, 2.4)
        ridge = height + 14 * np.sin(phase + waves * 2 * np.pi * across / IMAGE_SIZE)
        ridge += _blend(7, 0, scene) * rng.uniform(-1, 1, len(across))
        x = np.concatenate([across, [IMAGE_SIZE, 0]])
        y = np.concatenate([ridge, [IMAGE_SIZE, IMAGE_SIZE]])
        hills = _mixed((252 + turn, 0.14, 0.38 * dim), (84 + turn, 0.24, 0.88 * dim), scene)
        _fill(picture, x, y, tuple(hills.tolist()))
    return picture


def _draw_motif(
    picture: Picture, motif: Motif, jitter: tuple[float, float], rng: np.random.Generator
) -> None:
    hue, outline = _KINDS[motif.kind]
    x, y = _centre(motif, jitter)
    radius = _radius(motif)
    gloom = max(0.0, -motif.valence)
    saturation = _blend(0.45, 0.84, motif.valence)
    value = _blend(0.28, 1.0, motif.valence)
    colour = _rgb(hue, saturation, value)
    dark = _rgb(hue, min(1.0, saturation + 0.1), 0.45 * value)

    _draw_strokes(picture, motif, x, y, radius, dark, rng)
    _draw_parts(picture, motif.kind, x, y, radius, value)

    angle = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)
    jagged = 1 + 0.2 * gloom * rng.uniform(-1, 1, _OUTLINE_POINTS)
    reach = radius * outline(angle) * jagged
    _paint(picture, x, y, reach, angle, colour, motif, rng)
    if gloom > 0.15:
        _draw_cracks(picture, x, y, 0.7 * radius, 1 + round(3 * gloom), rng)
    if motif.kind == "flower":
        centre = _rgb(46, saturation, value)
        _fill(picture, x + 0.24 * radius * np.cos(angle), y + 0.24 * radius * np.sin(angle), centre)


def _paint(
    picture: Picture,
    x: float,
    y: float,
    reach: NDArray[np.float64],
    angle: NDArray[np.float64],
    colour: Colour,
    motif: Motif,
    rng: np.random.Generator,
) -> None:
    """Fill an outline, with soft light from above and stripes that are bolder with arousal."""
    margin = int(np.ceil(reach.max())) + 1
    left, top = max(0, int(x) - margin), max(0, int(y) - margin)
    patch = picture[top : int(y) + margin + 1, left : int(x) + margin + 1]
    height, width = patch.shape[:2]
    mask = np.zeros((height, width), dtype=np.uint8)
    _fill(mask, x - left + reach * np.cos(angle), y - top + reach * np.sin(angle), 255)

    across = (np.arange(width, dtype=np.float32) - (x - left)) / margin
    down = (np.arange(height, dtype=np.float32)[:, None] - (y - top)) / margin
    tilt = rng.uniform(0, np.pi)
    energy = (motif.arousal + 1) / 2
    wave = np.sin((9 + 13 * energy) * (np.cos(tilt) * across + np.sin(tilt) * down))
    light = 1 - 0.12 * (across + down) + 0.48 * energy**1.3 * np.clip(3 * wave, -1, 1)
    light = np.where(light > 1, 1 + 0.6 * (light - 1), light)
    painted = np.clip(np.asarray(colour, dtype=np.float32) * light[..., None], 0, 255)
    cover = (mask / np.float32(255))[..., None]
    patch[:] = (patch + cover * (painted - patch)).round().astype(np.uint8)


def _draw_strokes(
    picture: Picture,
    motif: Motif,
    x: float,
    y: float,
    radius: float,
    colour: Colour,
    rng: np.random.Generator,
) -> None:
    """Draw short strokes around a motif, more of them the higher its arousal."""
    count = round(16 * max(0.0, motif.arousal + 0.25))
    turn = rng.uniform(0, 2 * np.pi)
    inner, outer = 1.14 * radius, (1.22 + 0.16 * (motif.arousal + 1)) * radius
    for angle in turn + 2 * np.pi * np.arange(count) / max(count, 1):
        along = np.array([inner, outer])
        _stroke(picture, x + along * np.cos(angle), y + along * np.sin(angle), colour, 2)


def _draw_cracks(
    picture: Picture, x: float, y: float, reach: float, count: int, rng: np.random.Generator
) -> None:
    for angle in rng.uniform(0, 2 * np.pi, count):
        along = np.linspace(-0.3, 1, 6) * reach
        aside = 0.16 * reach * rng.uniform(-1, 1, 6)
        _stroke(
            picture,
            x + along * np.cos(angle) - aside * np.sin(angle),
            y + along * np.sin(angle) + aside * np.cos(angle),
            (24, 22, 26),
            2,
        )


def _draw_parts(
    picture: Picture, kind: str, x: float, y: float, radius: float, value: float
) -> None:
    """Draw what hangs below a motif or carries it."""
    wood = _rgb(28, 0.55, 0.25 + 0.35 * value)
    below = np.linspace(0.3, 1.42, 9) * radius
    swing = 0.1 * radius * np.sin(np.linspace(0, 7, 9))
    if kind in ("balloon", "kite"):
        _stroke(picture, x + swing, y + below, (70, 66, 72), 2)
    elif kind in ("tree", "flower"):
        stem = wood if kind == "tree" else _rgb(112, 0.5, 0.25 + 0.35 * value)
        _stroke(picture, np.full(9, x), y + below, stem, 9 if kind == "tree" else 4)
    elif kind == "umbrella":
        handle = np.append(below[:7], below[6] + np.array([0.08, 0.0]) * radius)
        hook = np.append(np.zeros(7), np.array([0.12, 0.24]) * radius)
        _stroke(picture, x + hook, y + handle, wood, 4)


_SKINS: tuple[Colour, ...] = ((232, 190, 160), (198, 150, 115), (245, 212, 186), (172, 124, 92))
SKINS = len(_SKINS)
_HAIR: Colour = (60, 42, 34)
_FACE_RADIUS = 44.0


def _draw_face(picture: Picture, face: Face) -> None:
    """Draw a frontal face whose light and dark parts lie where detectors of faces expect them."""
    x, y = _centre(face, (0.0, 0.0))
    skin = np.array(_SKINS[face.tone], dtype=np.float64)
    angle = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)

    def ellipse(right: float, down: float, width: float, height: float, colour: Colour) -> None:
        _fill(
            picture,
            x + _FACE_RADIUS * (right + width * np.cos(angle)),
            y + _FACE_RADIUS * (down + height * np.sin(angle)),
            colour,
        )

    def shade(factor: float) -> Colour:
        red, green, blue = np.minimum(255, factor * skin).tolist()
        return red, green, blue

    ellipse(0, -0.16, 0.92, 1.05, _HAIR)
    ellipse(0, 0, 0.8, 1, shade(1))
    for side in (-0.33, 0.33):
        ellipse(side, -0.18, 0.24, 0.16, shade(0.62))
        ellipse(side, -0.16, 0.17, 0.09, (238, 236, 232))
        ellipse(side, -0.16, 0.09, 0.09, (40, 28, 24))
        brow = side + np.array([-0.22, 0, 0.22])
        height = np.array([-0.38, -0.45, -0.38])
        _stroke(picture, x + _FACE_RADIUS * brow, y + _FACE_RADIUS * height, _HAIR, 4)
    ellipse(0, 0.12, 0.09, 0.26, shade(1.08))
    ellipse(0, 0.32, 0.17, 0.06, shade(0.82))
    _draw_mouth(picture, x, y, face.smile)


def _draw_mouth(picture: Picture, x: float, y: float, smile: float) -> None:
    across = np.linspace(-1, 1, 15)
    bend = 0.17 * smile * across**2
    if smile <= 0:
        mouth = 0.36 * across, 0.62 - bend
        _stroke(picture, *_on_face(x, y, *mouth), (150, 60, 58), 5)
        return
    for width, opening, colour in ((0.36, 0.2, (150, 50, 52)), (0.31, 0.09, (245, 243, 240))):
        upper, lower = 0.59 - 0.6 * bend, 0.62 + opening * smile * (1 - across**2)
        outline = (
            width * np.concatenate([across, across[::-1]]),
            np.concatenate([upper, lower[::-1]]),
        )
        _fill(picture, *_on_face(x, y, *outline), colour)


def _on_face(
    x: float, y: float, right: NDArray[np.float64], down: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of points that are given in radii of the face from its middle."""
    return x + _FACE_RADIUS * right, y + _FACE_RADIUS * down


# Strokes of the sign of each category, in units of the sign's half width.
_SIGNS: dict[str, list[list[tuple[float, float]]]] = {
    "fashion": [
        [(0, -0.3), (-0.7, 0.3), (0.7, 0.3), (0, -0.3), (0, -0.5), (0.15, -0.65), (0, -0.75)]
    ],
    "beauty": [
        [(-0.3, 0.7), (-0.3, 0), (0.3, 0), (0.3, 0.7), (-0.3, 0.7)],
        [(-0.18, 0), (-0.18, -0.5), (0.18, -0.75), (0.18, 0)],
    ],
    "food": [
        [(-0.55, -0.3), (-0.45, 0.55), (0.3, 0.55), (0.4, -0.3), (-0.55, -0.3)],
        [(0.38, -0.1), (0.7, -0.05), (0.65, 0.25), (0.35, 0.3)],
    ],
    "technology": [
        [(-0.4, -0.75), (0.4, -0.75), (0.4, 0.75), (-0.4, 0.75), (-0.4, -0.75)],
        [(-0.12, 0.55), (0.12, 0.55)],
    ],
    "travel": [
        [(-0.6, -0.3), (0.6, -0.3), (0.6, 0.6), (-0.6, 0.6), (-0.6, -0.3)],
        [(-0.25, -0.3), (-0.25, -0.65), (0.25, -0.65), (0.25, -0.3)],
    ],
    "fitness": [
        [(-0.4, 0), (0.4, 0)],
        [(-0.45, -0.5), (-0.45, 0.5)],
        [(-0.7, -0.3), (-0.7, 0.3)],
        [(0.45, -0.5), (0.45, 0.5)],
        [(0.7, -0.3), (0.7, 0.3)],
    ],
    "entertainment": [[(-0.4, -0.6), (0.6, 0), (-0.4, 0.6), (-0.4, -0.6)]],
    "automotive": [
        [(-0.75, 0.25), (-0.7, -0.05), (-0.4, -0.1), (-0.2, -0.45), (0.3, -0.45)],
        [(0.3, -0.45), (0.5, -0.1), (0.75, 0), (0.75, 0.25), (-0.75, 0.25)],
        [(-0.5, 0.3), (-0.4, 0.45), (-0.3, 0.3)],
        [(0.3, 0.3), (0.4, 0.45), (0.5, 0.3)],
    ],
}


def _draw_sign(picture: Picture, category: str) -> None:
    half = 13.0
    middle = IMAGE_SIZE - half - 5
    corner = np.array([-half, half, half, -half])
    _fill(picture, middle + corner, middle + np.repeat([-half, half], 2), (236, 234, 230))
    for line in _SIGNS[category]:
        x, y = np.array(line).T
        _stroke(picture, middle + 0.9 * half * x, middle + 0.9 * half * y, (72, 70, 74), 1)
