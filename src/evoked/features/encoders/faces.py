"""Faces in pictures, found with the Haar cascades that OpenCV 4 carries."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

FACIAL_AFFECT_NAMES = ("face_count", "largest_face_share", "largest_face_smile", "face_present")
"""Names of the first columns of ``affect.face``, whichever encoder computes it."""

DETECTION_SIZE = 256
"""Longest edge in pixels when looking for faces; a larger one costs much and finds few more."""

_SMALLEST_FACE = 24
_MOUTH_WIDTH = 64
_HALF_SMILE = 25
_HISTOGRAM_CLIP = 2.0
# Ratio of successive sizes, and number of hits that make a face, where none should be missed.
_EAGER = (1.1, 2)


def _cascade(name: str) -> cv2.CascadeClassifier:
    folder = Path(cv2.__file__).parent / "data"
    return cv2.CascadeClassifier(str(folder / f"haarcascade_{name}.xml"))


@dataclass(frozen=True)
class FaceDetector:
    """Finds frontal faces (Viola and Jones 2001) in a batch of pictures."""

    _faces: cv2.CascadeClassifier = field(
        default_factory=lambda: _cascade("frontalface_alt2"), repr=False
    )
    _smiles: cv2.CascadeClassifier = field(default_factory=lambda: _cascade("smile"), repr=False)

    def detect(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Find the faces in each picture.

        Parameters
        ----------
        images
            uint8 RGB, (n, height, width, 3).

        Returns
        -------
        n float32 arrays (faces, 4), largest face first: left, top, width and height as shares of
        the picture's width and height.
        """
        return [self._detect_one(_grey(image)) for image in images]

    def smiles(
        self, images: NDArray[np.uint8], faces: list[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """How much the largest face of each picture smiles.

        The smile cascade finds a smile many times, at neighbouring places and sizes: the wider the
        smile, the more often. The score is hits / (hits + 25), in [0, 1).

        Parameters
        ----------
        images
            uint8 RGB, (n, height, width, 3).
        faces
            What :meth:`detect` returned for them.

        Returns
        -------
        float32, (n,); 0 without a face.
        """
        pairs = zip(images, faces, strict=True)
        return np.array(
            [self._smile(image, boxes[0]) if len(boxes) else 0.0 for image, boxes in pairs],
            dtype=np.float32,
        )

    def _detect_one(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = grey.shape
        boxes = _boxes(self._faces, grey)
        order = np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")
        size = np.array([width, height, width, height], dtype=np.float32)
        return np.asarray(boxes[order] / size, dtype=np.float32)

    def _smile(self, image: NDArray[np.uint8], box: NDArray[np.float32]) -> float:
        height, width = image.shape[:2]
        left, top, across, down = box * np.array([width, height, width, height])
        mouth = image[int(top + down * 0.55) : int(top + down), int(left) : int(left + across)]
        if min(mouth.shape[:2]) < 4:
            return 0.0
        scaled = cv2.resize(
            cv2.cvtColor(mouth, cv2.COLOR_RGB2GRAY), (_MOUTH_WIDTH, _MOUTH_WIDTH // 2)
        )
        hits = len(self._smiles.detectMultiScale(scaled, scaleFactor=1.1, minNeighbors=0))
        return hits / (hits + _HALF_SMILE)


class FaceEncoder(ABC):
    """Turns pictures into what the faces on them show: the feature ``affect.face``.

    Attributes
    ----------
    fingerprint
        Changes whenever the output could change.
    names
        Names of the columns: :data:`FACIAL_AFFECT_NAMES`, and further ones that are 0 without a
        face.
    """

    fingerprint: str
    names: tuple[str, ...]

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode a batch: uint8 RGB, (n, height, width, 3), to (n, names)."""


class BuiltinFaces(FaceEncoder):
    """Number of faces, share of the picture that the largest one covers, how much it smiles in
    [0, 1), and whether there is one; all 0 without a face."""

    fingerprint = "faces:1"
    names = FACIAL_AFFECT_NAMES

    def __init__(self) -> None:
        self.detector = FaceDetector()

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.describe(images, self.detector.detect(images))

    def describe(
        self, images: NDArray[np.uint8], faces: list[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """As :meth:`encode`, for faces that :meth:`FaceDetector.detect` found."""
        count = np.array([len(boxes) for boxes in faces], dtype=np.float32)
        share = np.array([boxes[0, 2] * boxes[0, 3] if len(boxes) else 0.0 for boxes in faces])
        columns = [count, share, self.detector.smiles(images, faces), count > 0]
        return np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=1)


def find_faces_to_hide(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Find frontal and profile faces, rather too many than too few.

    Looks at four times as many pixels as :meth:`FaceDetector.detect`, at more sizes, and needs
    fewer hits. It finds a face in 73 % of 41 portraits of OASIS (58 % with the sizes and hits of
    the other), and in 18 % of 40 landscapes. Several threads may call it at once.

    Parameters
    ----------
    image
        uint8 RGB, (height, width, 3).

    Returns
    -------
    float32, (faces, 4): left, top, width and height as shares of the picture's width and height;
    a face that is found twice is listed twice.
    """
    if not hasattr(_own, "cascades"):
        _own.cascades = [_cascade("frontalface_alt2"), _cascade("profileface")]
    frontal, profile = _own.cascades
    grey = _grey(image, 2 * DETECTION_SIZE)
    width = grey.shape[1]
    size = np.array([width, grey.shape[0]] * 2, dtype=np.float32)
    faces, looking_left = _boxes(frontal, grey, *_EAGER), _boxes(profile, grey, *_EAGER)
    # The cascade was trained on profiles that look left.
    looking_right = _boxes(profile, np.ascontiguousarray(grey[:, ::-1]), *_EAGER)
    looking_right[:, 0] = width - looking_right[:, 0] - looking_right[:, 2]
    return np.asarray(np.concatenate([faces, looking_left, looking_right]) / size, np.float32)


_own = threading.local()  # a cascade serves one thread at a time


def _boxes(
    cascade: cv2.CascadeClassifier,
    grey: NDArray[np.uint8],
    step: float = 1.15,
    hits: int = 3,
) -> NDArray[np.float32]:
    """Left, top, width and height of faces, in pixels."""
    found = cascade.detectMultiScale(
        grey, scaleFactor=step, minNeighbors=hits, minSize=(_SMALLEST_FACE, _SMALLEST_FACE)
    )
    return np.asarray(found, dtype=np.float32).reshape(-1, 4)


def _grey(image: NDArray[np.uint8], longest_edge: int = DETECTION_SIZE) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    scale = longest_edge / max(grey.shape)
    if scale < 1:
        smaller = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey = np.asarray(smaller, np.uint8)
    return np.asarray(cv2.createCLAHE(_HISTOGRAM_CLIP, (4, 4)).apply(grey), np.uint8)
