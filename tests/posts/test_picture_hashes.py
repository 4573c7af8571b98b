"""Recognising pictures by 64 bits."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from evoked.posts.picture_hashes import picture_hash, same_picture


def picture(seed: int) -> Image.Image:
    points = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(points).resize((240, 180), Image.Resampling.BICUBIC)


def content(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_a_picture_is_recognised_after_scaling_and_compression() -> None:
    for seed in range(10):
        small = content(picture(seed).resize((120, 90)), "JPEG", quality=60)
        assert same_picture(picture_hash(content(picture(seed))), picture_hash(small))


def test_other_pictures_and_none_are_not() -> None:
    hashes = [picture_hash(content(picture(seed))) for seed in range(10)]
    assert not any(same_picture(one, other) for one in hashes for other in hashes if one != other)
    assert len(set(hashes)) == 10
    assert picture_hash(None) is None
    assert picture_hash(b"not a picture") is None
    assert not same_picture(None, None)
    assert not same_picture(hashes[0], None)
