"""Image, text and object encoders, made by name, behind the small interface of :mod:`.base`."""

from evoked.features.encoders.registry import (
    face_encoder,
    image_encoder,
    object_encoder,
    text_encoder,
)

__all__ = ["face_encoder", "image_encoder", "object_encoder", "text_encoder"]
