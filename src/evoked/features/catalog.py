"""The catalog: every feature that a model may name, and the settings that decide its content.

A feature is either a *vector* per post, (n, size), or a set of *tokens* per post,
(n, positions, channels) with a mask. Some are *fitted*: they carry statistics of the training
posts (vocabularies, means) and are saved with a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from evoked.errors import SettingsError
from evoked.features.captions import TEXT_STEPS, TextStep


@dataclass(frozen=True)
class Feature:
    """One entry of the catalog.

    Attributes
    ----------
    name
        As models name it.
    kind
        ``vector`` (n, size) or ``tokens`` (n, positions, channels).
    modality
        image, caption, hashtags, metadata, environment, user or comment: what a missing-modality
        placeholder stands for.
    source
        Who computes it.
    fitted
        Whether it carries statistics of the training posts.
    description
        What it holds, with shape and unit.
    """

    name: str
    kind: Literal["vector", "tokens"]
    modality: Literal["image", "caption", "hashtags", "metadata", "environment", "user", "comment"]
    source: str
    fitted: bool
    description: str


_ENTRIES = [
    Feature(
        *("image.map", "tokens", "image", "image encoder", False),
        "Cover picture as positions × channels: a row per region of a grid.",
    ),
    Feature(
        *("image.vector", "vector", "image", "image encoder", False),
        "The whole cover picture as one vector.",
    ),
    Feature(
        *("image.objects", "tokens", "image", "object encoder", False),
        "Found objects as objects × channels (Faster R-CNN: 1024; builtin: salient regions).",
    ),
    Feature(
        *("caption.tokens", "tokens", "caption", "text encoder", False),
        "Caption as tokens × channels, special tokens left out.",
    ),
    Feature(
        *("caption.vector", "vector", "caption", "text encoder", False),
        "The whole caption as one vector.",
    ),
    Feature(
        *("title.tokens", "tokens", "caption", "text encoder", False),
        "Title as tokens × channels, as caption.tokens.",
    ),
    Feature(
        *("context.tokens", "tokens", "caption", "text encoder", False),
        "Tags and caption together as tokens × channels, as caption.tokens.",
    ),
    Feature(
        *("text.tokens", "tokens", "caption", "text encoder", False),
        "Title, tags and caption together as tokens × channels, as caption.tokens.",
    ),
    Feature(
        *("text.vector", "vector", "caption", "text encoder", False),
        "Title, tags and caption together as one vector.",
    ),
    Feature(
        *("hashtags.vector", "vector", "hashtags", "Word2Vec on the training posts", True),
        "Mean of the tags' vectors, 300.",
    ),
    Feature(
        *("metadata", "vector", "metadata", "metadata encoder", True),
        "What is known before posting: author, category, time, form, and the author's earlier "
        "posts; standardised.",
    ),
    Feature(
        *("topics", "vector", "caption", "LDA on the training posts", True),
        "Share of each topic in the caption, at most 400.",
    ),
    Feature(
        *("environment.image", "vector", "environment", "means over the training posts", True),
        "Mean image.vector of the author's other posts: what they are likely to show.",
    ),
    Feature(
        *("environment.topics", "vector", "environment", "means over the training posts", True),
        "Mean topics of the author's other posts: what they are likely to write about.",
    ),
    Feature(
        *("environment.caption", "vector", "environment", "means over the training posts", True),
        "Mean caption.vector of the author's other posts: how they are likely to write.",
    ),
    Feature(
        *("affect.text", "vector", "caption", "text emotion reader", False),
        "Valence, arousal and dominance read from the caption, 3, on the project's scales.",
    ),
    Feature(
        *("affect.face", "vector", "image", "face encoder", False),
        "Faces on the cover: how many, how large, how much of a smile; with the encoder 'fer' what "
        "the largest one expresses, too.",
    ),
    Feature(
        *("sentiment.text", "vector", "caption", "SnowNLP (Chinese), VADER (others)", False),
        "How positive the caption is: polarity in [-1, 1], then its level of five as 0 and 1, 6.",
    ),
    Feature(
        *("likability.known", "vector", "metadata", "the post's own likes", True),
        "Likes that the post has got: log(1 + likes), standardised. UNKNOWN BEFORE POSTING: for "
        "models of published posts alone.",
    ),
    Feature(
        *("user.vector", "vector", "user", "text encoder", False),
        "Of a viewing: mean over the vectors of the descriptions of the user's groups.",
    ),
    Feature(
        *("viewing.comment", "vector", "comment", "text encoder", False),
        "Of a viewing: the comment that it left, as one vector. UNKNOWN BEFORE THE USER HAS "
        "COMMENTED, and often what the emotion was read from.",
    ),
    Feature(
        *("image.pixels", "vector", "image", "image encoder, fine-tuned", False),
        "Cover picture as uint8 pixels, for fine-tuning.",
    ),
    Feature(
        *("caption.ids", "tokens", "caption", "text encoder, fine-tuned", False),
        "Token ids of the caption, for fine-tuning.",
    ),
    *(
        Feature(
            *(f"{field}.ids", "tokens", "caption", "text encoder, fine-tuned", False),
            f"Token ids of what {field}.tokens is computed from, for fine-tuning.",
        )
        for field in ("title", "context", "text")
    ),
]

CATALOG: dict[str, Feature] = {feature.name: feature for feature in _ENTRIES}


def feature(name: str) -> Feature:
    """Look a feature up.

    Raises
    ------
    SettingsError
        No feature has this name.
    """
    if name not in CATALOG:
        raise SettingsError(f"no feature is called {name!r}; there are {sorted(CATALOG)}.")
    return CATALOG[name]


class FeatureSettings(BaseModel):
    """Which encoders compute the features, and how.

    An encoder is named ``builtin``, or ``KIND:WHERE``: ``timm:resnext101_32x8d``,
    ``torchvision:resnet50``, ``transformers:openai/clip-vit-base-patch32``, where WHERE is the
    name of an architecture or hub model, or a local folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_encoder: str = Field(
        "builtin",
        description="encoder of pictures: builtin, timm:…, torchvision:… or transformers:…",
    )
    text_encoder: str = Field("builtin", description="encoder of texts: builtin or transformers:…")
    object_encoder: str = Field(
        "builtin", description="encoder of objects in pictures: builtin or torchvision:…"
    )
    face_encoder: str = Field(
        "builtin",
        description="encoder of faces: builtin, or fer or fer:FILE, which reads what they express",
    )
    views: int = Field(
        1,
        ge=1,
        le=16,
        description="views of each picture: the first as it is, the others augmented",
    )
    max_tokens: int = Field(128, ge=4, le=512, description="longest caption in tokens (Table 3)")
    text_steps: tuple[TextStep, ...] = Field(
        TEXT_STEPS,
        description="what is done to a caption before an encoder reads it: some of "
        f"{', '.join(TEXT_STEPS)}, or none",
    )
    hashtag_vectors: str | None = Field(
        None, description="word2vec text file to use in place of vectors trained on the hashtags"
    )
    topics: int = Field(
        400, ge=2, le=2000, description="topics of the captions, at most one per ten of them"
    )

    generated_comments: bool = Field(
        False, description="of viewings: read comments that a model wrote, too"
    )

    @field_validator("text_steps")
    @classmethod
    def _in_order(cls, steps: tuple[TextStep, ...]) -> tuple[TextStep, ...]:
        return tuple(step for step in TEXT_STEPS if step in steps)
