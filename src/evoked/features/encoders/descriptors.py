"""Named descriptors of pictures, which need no weights.

Every picture gets one global vector and a 7 × 7 grid of regional descriptors (colour, texture,
edges, saliency, composition, faces), so that spatial attention has regions to weigh. All channels
have names, so an explanation can say what was seen in a region.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from evoked.features.encoders.base import ImageEncoder, ImageFeatures, check_pictures
from evoked.features.encoders.faces import FaceDetector

VERSION = 1
"""Raised whenever an output changes: caches are keyed by it."""

IMAGE_SIZE = 224
GRID = 7

_CHUNK = 16  # pictures at a time, few enough that their planes stay in the processor's cache
_EPSILON = 1e-6
_ORIENTATIONS = 8
_EDGE_THRESHOLD = 0.12  # gradient, in units of the grey range per pixel
_HUE_BINS = 12
_SALIENCY_SIZE = 64
_RADII = 6

Floats = NDArray[np.float32]

COLOUR_NAMES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "black": ((0, 0, 0), (30, 30, 30)),
    "grey": ((128, 128, 128), (85, 85, 85), (175, 175, 175)),
    "white": ((255, 255, 255), (225, 225, 225)),
    "red": ((220, 20, 30), (140, 15, 20)),
    "orange": ((250, 135, 20),),
    "brown": ((115, 70, 35), (75, 50, 30)),
    "skin": ((225, 175, 145), (190, 135, 105)),
    "yellow": ((250, 220, 40), (200, 170, 70)),
    "green": ((50, 160, 50), (30, 80, 30), (120, 140, 70)),
    "cyan": ((60, 200, 200), (150, 210, 220)),
    "blue": ((30, 80, 200), (20, 35, 90), (100, 150, 210)),
    "purple": ((125, 50, 160), (80, 45, 90)),
    "pink": ((245, 130, 180), (240, 195, 205)),
}
"""Everyday names of colours, with the sRGB colours that stand for them; a pixel gets the nearest
one in CIE Lab."""


class DescriptorEncoder(ImageEncoder):
    """Regional and global descriptors of colour, texture, edges, saliency, composition and faces.

    Parameters
    ----------
    faces
        Whether to look for faces, which takes longer than everything else; if not, the channels
        about faces are 0.

    Attributes
    ----------
    map_names, vector_names
        A name for every channel of the map and every entry of the vector.

    Notes
    -----
    Sources of the descriptors: uniform rotation-invariant local binary patterns, Ojala,
    Pietikäinen and Mäenpää 2002; spectral residual saliency, Hou and Zhang 2007; power by
    frequency and direction, Oliva and Torralba 2001; colourfulness, Hasler and Süsstrunk 2003;
    faces, Viola and Jones 2001. Values are of order one, but not standardised.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = DescriptorEncoder(faces=False)
    >>> features = encoder.encode(np.zeros((2, 224, 224, 3), np.uint8))
    >>> features.map.shape == (2, 49, encoder.map_channels)
    True
    """

    image_size = IMAGE_SIZE
    grid = (GRID, GRID)

    def __init__(self, *, faces: bool = True) -> None:
        self.fingerprint = f"builtin-image:{VERSION}:{'faces' if faces else 'no-faces'}"
        self._detector = FaceDetector() if faces else None
        blank = _encode(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8), None)
        self.map_names = tuple(blank.map)
        self.vector_names = tuple(blank.vector)
        self.map_channels = len(self.map_names)
        self.vector_size = len(self.vector_names)

    def encode(self, images: NDArray[np.uint8]) -> ImageFeatures:
        """Encode a batch.

        Parameters
        ----------
        images
            uint8 RGB, (n, 224, 224, 3); n may be 0.

        Raises
        ------
        DataError
            The array has another shape or type.
        """
        check_pictures(images, IMAGE_SIZE)
        regions = np.empty((len(images), GRID * GRID, self.map_channels), np.float32)
        vectors = np.empty((len(images), self.vector_size), np.float32)
        for start in range(0, len(images), _CHUNK):
            chunk = slice(start, min(start + _CHUNK, len(images)))
            described = _encode(images[chunk], self._detector)
            regions[chunk] = np.stack(list(described.map.values()), -1).reshape(
                -1, GRID * GRID, self.map_channels
            )
            vectors[chunk] = np.stack(list(described.vector.values()), -1)
        return ImageFeatures(map=regions, vector=vectors)


class _Described(NamedTuple):
    """Named descriptors: of the regions, each (n, 7, 7), and of the whole, each (n,)."""

    map: dict[str, Floats]
    vector: dict[str, Floats]


class _Planes(NamedTuple):
    """Pixel planes of n pictures, each (n, size, size) unless said otherwise."""

    lab: Floats  # (n, size, size, 3): lightness in [0, 1], a and b in about [-1, 1]
    chroma: Floats
    hue: Floats  # angle in Lab, radians
    saturation: Floats
    grey: Floats  # [0, 1]
    magnitude: Floats
    orientation: NDArray[np.int64]  # bin of the edge's direction
    colour: NDArray[np.uint8]  # index into COLOUR_NAMES
    pattern: NDArray[np.uint8]  # local binary pattern, 0 to 9


def _encode(images: NDArray[np.uint8], detector: FaceDetector | None) -> _Described:
    planes = _planes(images)
    saliency = _saliency(planes.grey)
    faces = detector.detect(images) if detector else [np.zeros((0, 4), np.float32)] * len(images)
    smiles = detector.smiles(images, faces) if detector else np.zeros(len(images), np.float32)

    regions = _regional_colour(planes)
    regions |= _regional_texture(planes)
    regions |= _regional_saliency(saliency, regions)
    regions["face"] = _face_cover(faces)
    vector = _pooled(regions)
    regions |= _composition(len(images))

    vector |= _global_colour(planes)
    vector |= _global_tone(planes)
    vector |= _symmetry(planes)
    vector |= _spectrum(planes.grey)
    vector |= _saliency_layout(saliency)
    vector |= _face_layout(faces, smiles)
    return _Described(regions, vector)


# Pixel planes ------------------------------------------------------------------------------------


def _planes(images: NDArray[np.uint8]) -> _Planes:
    tall = images.reshape(
        -1, IMAGE_SIZE, 3
    )  # conversions of single pixels take all pictures at once
    shape = images.shape[:3]
    lab = np.asarray(cv2.cvtColor(tall, cv2.COLOR_RGB2LAB), np.float32)
    lab -= np.array([0, 128, 128], np.float32)
    lab /= np.array([255, 100, 100], np.float32)
    chroma, hue = cv2.cartToPolar(lab[..., 1], lab[..., 2])
    saturation = cv2.cvtColor(tall, cv2.COLOR_RGB2HSV)[..., 1]
    grey8 = np.asarray(cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY), np.uint8).reshape(shape)
    grey = np.asarray(grey8, np.float32) / np.float32(255)
    magnitude, orientation = _gradients(grey)
    quantised = (images >> 3).astype(np.int64)
    code = (quantised[..., 0] << 10) | (quantised[..., 1] << 5) | quantised[..., 2]
    return _Planes(
        lab=lab.reshape(images.shape),
        chroma=np.asarray(chroma, np.float32).reshape(shape),
        hue=np.asarray(hue, np.float32).reshape(shape),
        saturation=np.asarray(saturation, np.float32).reshape(shape) / np.float32(255),
        grey=grey,
        magnitude=magnitude,
        orientation=orientation,
        colour=_colour_table()[code],
        pattern=_local_binary_patterns(grey8),
    )


@cache
def _colour_table() -> NDArray[np.uint8]:
    """Index into COLOUR_NAMES for every colour of 5 bits per channel, (32768,)."""
    levels = np.arange(32, dtype=np.uint8) * 8 + 4
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(1, -1, 3)
    prototypes = np.array([[c for colours in COLOUR_NAMES.values() for c in colours]], np.uint8)
    owner = np.repeat(np.arange(len(COLOUR_NAMES)), [len(c) for c in COLOUR_NAMES.values()])
    lab, lab_prototypes = (
        cv2.cvtColor(c, cv2.COLOR_RGB2LAB).astype(np.float32)[0] for c in (colours, prototypes)
    )
    scale = np.array(
        [0.5, 1, 1], np.float32
    )  # names of colours say more about hue than about lightness
    distances = (((lab[:, None] - lab_prototypes[None]) * scale) ** 2).sum(-1)
    return owner[distances.argmin(1)].astype(np.uint8)


def _gradients(grey: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Gradient magnitude, and the bin of its direction modulo 180 degrees."""
    across = np.stack([cv2.Scharr(image, cv2.CV_32F, 1, 0, scale=1 / 32) for image in grey])
    down = np.stack([cv2.Scharr(image, cv2.CV_32F, 0, 1, scale=1 / 32) for image in grey])
    flat = (-1, grey.shape[-1])
    magnitude, angle = cv2.cartToPolar(across.reshape(flat), down.reshape(flat))
    bins = (angle * (_ORIENTATIONS / np.pi) + 0.5).astype(np.int64) % _ORIENTATIONS
    return np.asarray(magnitude, np.float32).reshape(grey.shape), bins.reshape(grey.shape)


def _local_binary_patterns(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Uniform rotation-invariant patterns of the 8 neighbours: 0 to 8 brighter ones in one run,
    9 for every other arrangement."""
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    size = grey.shape[1]
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    code = np.zeros(grey.shape, np.uint8)
    for bit, (row, column) in enumerate(ring):
        brighter = padded[:, row : row + size, column : column + size] > grey
        code |= brighter.view(np.uint8) << bit
    return _pattern_table()[code]


@cache
def _pattern_table() -> NDArray[np.uint8]:
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(1)
    return np.where(changes <= 2, bits.sum(1), 9).astype(np.uint8)


def _saliency(grey: Floats) -> Floats:
    """Spectral residual saliency, (n, 64, 64), with a maximum of 1 in each picture; 0 throughout a
    picture where nothing stands out."""
    small = _resized(grey, _SALIENCY_SIZE)
    spectrum = np.fft.fft2(small)
    amplitude = np.log(np.abs(spectrum) + 1e-3)
    smooth = np.stack([cv2.blur(a, (3, 3)) for a in amplitude])
    residual = np.exp(amplitude - smooth + 1j * np.angle(spectrum))
    power = np.abs(np.fft.ifft2(residual)).astype(np.float32) ** 2
    blurred = np.stack([cv2.GaussianBlur(p, (0, 0), 2.5) for p in power])
    blurred -= blurred.min(axis=(1, 2), keepdims=True)
    peak = blurred.max(axis=(1, 2), keepdims=True)
    flat = np.ptp(small, axis=(1, 2), keepdims=True) < 1e-3
    return np.where(flat, 0, blurred / np.maximum(peak, 1e-12)).astype(np.float32)


# Regions -----------------------------------------------------------------------------------------


def _regional_colour(planes: _Planes) -> dict[str, Floats]:
    mean = _cells(planes.lab)
    variance = np.maximum(_cells(planes.lab**2) - mean**2, 0)
    saturation = _cells(planes.saturation)
    regions: dict[str, Floats] = {}
    for index, name in enumerate(("lightness", "green_red", "blue_yellow")):
        regions[f"{name}_mean"] = mean[..., index]
        regions[f"{name}_spread"] = np.sqrt(variance[..., index])
    regions["saturation_mean"] = saturation
    regions["saturation_spread"] = np.sqrt(
        np.maximum(_cells(planes.saturation**2) - saturation**2, 0)
    )
    # Towards orange (about 60° in Lab) is warm, towards blue cool.
    regions["warmth"] = _cells(planes.chroma * np.cos(planes.hue - np.pi / 3))
    shares = _cell_shares(planes.colour, len(COLOUR_NAMES))
    regions |= {f"{name}_share": shares[..., i] for i, name in enumerate(COLOUR_NAMES)}
    return regions


def _regional_texture(planes: _Planes) -> dict[str, Floats]:
    regions: dict[str, Floats] = {}
    edges = _cells(planes.magnitude)
    regions["edge_strength"] = np.sqrt(edges)
    regions["edge_density"] = _cells((planes.magnitude > _EDGE_THRESHOLD).astype(np.float32))
    energies = _cell_shares(planes.orientation, _ORIENTATIONS, planes.magnitude)
    for index in range(_ORIENTATIONS):
        angle = round(180 * index / _ORIENTATIONS)
        regions[f"edges_across_{angle}"] = np.sqrt(energies[..., index])
    regions["edge_direction"] = energies.max(-1) / (energies.sum(-1) + 1e-3)
    for scale, band in _bands(planes.grey).items():
        regions[f"detail_{scale}"] = np.sqrt(_cells(band**2))
    patterns = _cell_shares(planes.pattern, 10)
    regions |= {f"pattern_{index}": patterns[..., index] for index in range(10)}
    return regions


def _bands(grey: Floats) -> dict[str, Floats]:
    """Band-pass versions of the pictures at three scales, in grey levels."""
    blurs = [grey, *(np.stack([cv2.GaussianBlur(g, (0, 0), s) for g in grey]) for s in (1, 2, 4))]
    names = ("fine", "medium", "coarse")
    return {name: blurs[i] - blurs[i + 1] for i, name in enumerate(names)}


def _regional_saliency(saliency: Floats, regions: dict[str, Floats]) -> dict[str, Floats]:
    """Saliency, and the difference of a region's colour from the whole and from its neighbours."""
    colour = np.stack([regions[f"{n}_mean"] for n in ("lightness", "green_red", "blue_yellow")], -1)
    whole = colour.mean(axis=(1, 2), keepdims=True)
    around = np.stack([cv2.blur(c, (3, 3), borderType=cv2.BORDER_REPLICATE) for c in colour])
    blocks = _resized(saliency, 8 * GRID).reshape(-1, GRID, 8, GRID, 8)
    return {
        "saliency_mean": blocks.mean(axis=(2, 4)),
        "saliency_peak": blocks.max(axis=(2, 4)),
        "contrast_to_whole": np.linalg.norm(colour - whole, axis=-1),
        "contrast_to_neighbours": np.linalg.norm(colour - around, axis=-1),
    }


def _composition(n: int) -> dict[str, Floats]:
    """Where a region is, which is the same for every picture."""
    centres = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID * 2 - 1
    row, column = np.meshgrid(centres, centres, indexing="ij")
    third = np.hypot(np.abs(row) - 1 / 3, np.abs(column) - 1 / 3)
    named = {
        "row": row,
        "column": column,
        "distance_to_centre": np.hypot(row, column),
        "distance_to_third": third,
    }
    return {name: np.broadcast_to(plane, (n, GRID, GRID)) for name, plane in named.items()}


def _face_cover(faces: list[Floats]) -> Floats:
    """Share of every region that is covered by faces."""
    cover = np.zeros((len(faces), GRID, GRID), np.float32)
    starts = np.arange(GRID) / GRID
    for index, boxes in enumerate(faces):
        near, far = boxes[:, :2, None], (boxes[:, :2] + boxes[:, 2:])[:, :, None]
        overlap = np.minimum(far, starts + 1 / GRID) - np.maximum(near, starts)
        across, down = np.moveaxis(np.maximum(overlap, 0) * GRID, 1, 0)
        cover[index] = np.minimum(np.einsum("fr,fc->rc", down, across), 1)
    return cover


# The whole ---------------------------------------------------------------------------------------


def _pooled(regions: dict[str, Floats]) -> dict[str, Floats]:
    """Pyramid over the map: mean, spread and peak, the top and bottom two rows, and the centre."""
    pooled: dict[str, Floats] = {}
    for name, plane in regions.items():
        pooled[f"{name}:mean"] = plane.mean(axis=(1, 2))
        pooled[f"{name}:spread"] = plane.std(axis=(1, 2))
        pooled[f"{name}:peak"] = plane.max(axis=(1, 2))
        pooled[f"{name}:top"] = plane[:, :2].mean(axis=(1, 2))
        pooled[f"{name}:bottom"] = plane[:, -2:].mean(axis=(1, 2))
        pooled[f"{name}:centre"] = plane[:, 2:5, 2:5].mean(axis=(1, 2))
    return pooled


def _global_colour(planes: _Planes) -> dict[str, Floats]:
    n = len(planes.grey)
    bins = (planes.hue * (_HUE_BINS / (2 * np.pi))).astype(np.int64) % _HUE_BINS
    hues = _shares(bins.reshape(n, -1), _HUE_BINS, planes.chroma.reshape(n, -1))
    total = hues.sum(1) + _EPSILON
    vector = {f"hue_{round(360 * i / _HUE_BINS)}": hues[:, i] for i in range(_HUE_BINS)}
    # Harmony: one dominant hue, two opposite ones, three in a triangle.
    angles = (np.arange(_HUE_BINS) + 0.5) * (2 * np.pi / _HUE_BINS)
    for order, name in ((1, "one_hue"), (2, "opposite_hues"), (3, "hue_triad")):
        vector[f"harmony_{name}"] = np.abs(hues @ np.exp(1j * order * angles)) / total
    vector["hue_variety"] = _entropy(hues)
    names = _shares(planes.colour.reshape(n, -1), len(COLOUR_NAMES))
    vector["colour_variety"] = _entropy(names)
    vector["largest_colour_share"] = names.max(1)
    opponents = planes.lab[..., 1:]
    vector["colourfulness"] = np.linalg.norm(opponents.std(axis=(1, 2)), axis=-1) + 0.3 * (
        np.linalg.norm(opponents.mean(axis=(1, 2)), axis=-1)
    )
    saturations = _shares((planes.saturation * 7.999).astype(np.int64).reshape(n, -1), 8)
    vector |= {f"saturation_level_{i}": saturations[:, i] for i in range(8)}
    return vector


def _global_tone(planes: _Planes) -> dict[str, Floats]:
    n = len(planes.grey)
    levels = _shares((planes.grey * 15.999).astype(np.int64).reshape(n, -1), 16)
    low, middle, high = (_percentile(levels, share) for share in (0.05, 0.5, 0.95))
    vector = {f"tone_{i}": levels[:, i] for i in range(16)}
    vector |= {
        "tone_shadows": low,
        "tone_middle": middle,
        "tone_highlights": high,
        "contrast_range": high - low,
        "contrast_spread": planes.grey.std(axis=(1, 2)),
        "tone_variety": _entropy(levels),
    }
    return vector


def _symmetry(planes: _Planes) -> dict[str, Floats]:
    """1 minus the mean difference between a picture and its mirror image."""
    tone, edges = _resized(planes.grey, 56), _resized(np.sqrt(planes.magnitude), 56)
    return {
        "symmetry_left_right": 1 - np.abs(tone - tone[:, :, ::-1]).mean(axis=(1, 2)),
        "symmetry_top_bottom": 1 - np.abs(tone - tone[:, ::-1]).mean(axis=(1, 2)),
        "edge_symmetry_left_right": 1 - np.abs(edges - edges[:, :, ::-1]).mean(axis=(1, 2)),
        "edge_symmetry_top_bottom": 1 - np.abs(edges - edges[:, ::-1]).mean(axis=(1, 2)),
    }


def _spectrum(grey: Floats) -> dict[str, Floats]:
    """Log power by spatial frequency and direction (Oliva and Torralba 2001), and its slope."""
    small = _resized(grey, _SALIENCY_SIZE)
    window = np.hanning(_SALIENCY_SIZE)
    windowed = (small - small.mean(axis=(1, 2), keepdims=True)) * np.outer(window, window)
    power = np.abs(np.fft.rfft2(windowed)) ** 2
    down = np.fft.fftfreq(_SALIENCY_SIZE)[:, None]
    across = np.fft.rfftfreq(_SALIENCY_SIZE)[None]
    radius = np.clip(np.log2(np.hypot(down, across) * _SALIENCY_SIZE + _EPSILON), 0, _RADII - 1)
    direction = np.arctan2(down, across + 1e-9) / np.pi + 0.5
    sector = (radius.astype(np.int64) * 4 + np.minimum(direction * 4, 3).astype(np.int64)).ravel()
    counts = np.maximum(np.bincount(sector, minlength=4 * _RADII), 1)
    sums = _shares(
        np.broadcast_to(sector, (len(grey), sector.size)), 4 * _RADII, power.reshape(len(grey), -1)
    )
    logs = np.log10(sums * sector.size / counts + 1e-2)
    radial = logs.reshape(-1, _RADII, 4).mean(-1)
    steps = np.arange(_RADII) - (_RADII - 1) / 2
    vector = {f"spectrum_{i // 4}_{i % 4}": logs[:, i] for i in range(4 * _RADII)}
    vector["spectrum_slope"] = radial @ steps / (steps**2).sum()
    return vector


def _saliency_layout(saliency: Floats) -> dict[str, Floats]:
    """Where the salient parts are, and how widely they are spread."""
    weights = saliency + _EPSILON
    weights = weights / weights.sum(axis=(1, 2), keepdims=True)
    centres = ((np.arange(_SALIENCY_SIZE) + 0.5) / _SALIENCY_SIZE * 2 - 1).astype(np.float32)
    row, column = weights.sum(2) @ centres, weights.sum(1) @ centres
    spread = weights.sum(2) @ centres**2 - row**2 + weights.sum(1) @ centres**2 - column**2
    return {
        "salient_row": row,
        "salient_column": column,
        "salient_spread": np.sqrt(np.maximum(spread, 0)),
        "salient_distance_to_third": np.hypot(np.abs(row) - 1 / 3, np.abs(column) - 1 / 3),
        "salient_share": (saliency > 0.5).mean(axis=(1, 2)),
    }


def _face_layout(faces: list[Floats], smiles: Floats) -> dict[str, Floats]:
    largest = np.zeros((len(faces), 4), np.float32)
    for index, boxes in enumerate(faces):
        largest[index] = boxes[0] if len(boxes) else 0
    present = np.array([len(boxes) > 0 for boxes in faces])
    return {
        "face_count": np.log1p(np.array([len(boxes) for boxes in faces])),
        "face_present": present,
        "face_share": largest[:, 2] * largest[:, 3],
        "face_row": np.where(present, 2 * largest[:, 1] + largest[:, 3] - 1, 0),
        "face_column": np.where(present, 2 * largest[:, 0] + largest[:, 2] - 1, 0),
        "face_smile": smiles,
    }


# Arithmetic over batches -------------------------------------------------------------------------


def _cells(planes: Floats) -> Floats:
    """Mean over every region: (n, 224, 224[, c]) to (n, 7, 7[, c])."""
    n, size = planes.shape[:2]
    tall = planes.reshape(n * size, size, -1)  # regions never straddle two pictures
    small = cv2.resize(tall, (GRID, n * GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(n, GRID, GRID, *planes.shape[3:])


def _resized(planes: Floats, size: int) -> Floats:
    """(n, height, width) to (n, size, size), averaging."""
    return np.stack([cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in planes])


def _cell_shares(bins: NDArray[np.integer], count: int, weights: Floats | None = None) -> Floats:
    """Histogram of every region, divided by its number of pixels: (n, 7, 7, count)."""
    n, size = bins.shape[:2]
    cell = np.arange(size) * GRID // size
    offset = (cell[:, None] * GRID + cell) * count
    histogram = _shares((bins + offset).reshape(n, -1), GRID * GRID * count, weights)
    return histogram.reshape(n, GRID, GRID, count) * np.float32(GRID * GRID)


def _shares(bins: NDArray[np.integer], count: int, weights: Floats | None = None) -> Floats:
    """Histogram of every row of (n, pixels), divided by the number of pixels: (n, count)."""
    n, pixels = bins.shape
    rows = np.arange(n)[:, None] * count
    flat = None if weights is None else weights.ravel()
    histogram = np.bincount((bins + rows).ravel(), flat, minlength=n * count)
    return (histogram.reshape(n, count) / pixels).astype(np.float32)


def _entropy(histogram: Floats) -> Floats:
    """Entropy of every row in units of its largest possible value; 0 for an empty row."""
    shares = histogram / (histogram.sum(1, keepdims=True) + _EPSILON)
    return -(shares * np.log(shares + 1e-12)).sum(1) / np.log(histogram.shape[1])


def _percentile(histogram: Floats, share: float) -> Floats:
    """Level in [0, 1] below which a given share of the pixels is, from a histogram of levels."""
    reached = histogram.cumsum(1) >= share - _EPSILON
    return (reached.argmax(1) / (histogram.shape[1] - 1)).astype(np.float32)
