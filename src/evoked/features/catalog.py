"""The catalog: every feature that a model may name, and the settings that decide what it holds.

A feature is either a *vector* per post, (n, size), or a set of *tokens* per post,
(n, positions, channels) with a mask. Some are *fitted*: they contain statistics of the training
posts (vocabularies, means) and are saved with a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from evoked.errors import SettingsError
from evoked.features.captions import TEXT_STEPS, TextStep
from evoked.settings import Settings


@dataclass(frozen=True)
class Feature:
    """One entry of the catalog.

    Attributes
    ----------
    name
        The name that models use.
    kind
        ``vector`` (n, size) or ``tokens`` (n, positions, channels).
    modality
        image, caption, hashtags, metadata, environment, user or comment: one learned placeholder
        stands for all features of a modality that a post lacks.
    source
        What computes it.
    fitted
        Whether it contains statistics of the training posts.
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
        name="image.map",
        kind="tokens",
        modality="image",
        source="image encoder",
        fitted=False,
        description="Cover picture as positions × channels, with a row for each region of a grid.",
    ),
    Feature(
        name="image.vector",
        kind="vector",
        modality="image",
        source="image encoder",
        fitted=False,
        description="The whole cover picture as one vector.",
    ),
    Feature(
        name="image.objects",
        kind="tokens",
        modality="image",
        source="object encoder",
        fitted=False,
        description="Detected objects as objects × channels (builtin: what is recognised, "
        "and where; Faster R-CNN: 1024).",
    ),
    Feature(
        name="caption.tokens",
        kind="tokens",
        modality="caption",
        source="text encoder",
        fitted=False,
        description="Caption as tokens × channels, special tokens left out.",
    ),
    Feature(
        name="caption.vector",
        kind="vector",
        modality="caption",
        source="text encoder",
        fitted=False,
        description="The whole caption as one vector.",
    ),
    Feature(
        name="title.tokens",
        kind="tokens",
        modality="caption",
        source="text encoder",
        fitted=False,
        description="Title as tokens × channels, as caption.tokens.",
    ),
    Feature(
        name="context.tokens",
        kind="tokens",
        modality="caption",
        source="text encoder",
        fitted=False,
        description="Tags and caption together as tokens × channels, as caption.tokens.",
    ),
    Feature(
        name="text.tokens",
        kind="tokens",
        modality="caption",
        source="text encoder",
        fitted=False,
        description="Title, tags and caption together as tokens × channels, as caption.tokens.",
    ),
    Feature(
        name="text.vector",
        kind="vector",
        modality="caption",
        source="text encoder",
        fitted=False,
        description="Title, tags and caption together as one vector.",
    ),
    Feature(
        name="hashtags.vector",
        kind="vector",
        modality="hashtags",
        source="Word2Vec on the training posts",
        fitted=True,
        description="Mean of the hashtags' vectors (300).",
    ),
    Feature(
        name="metadata",
        kind="vector",
        modality="metadata",
        source="metadata encoder",
        fitted=True,
        description="What is known before posting: author, category, time, form, the author's "
        "earlier posts, and facts of your own; standardised.",
    ),
    Feature(
        name="topics",
        kind="vector",
        modality="caption",
        source="LDA on the training posts",
        fitted=True,
        description="Share of each topic in the caption (at most 400).",
    ),
    Feature(
        name="environment.map",
        kind="vector",
        modality="environment",
        source="means over the training posts",
        fitted=True,
        description="Mean of image.map over its regions and the author's other posts: what they "
        "tend to show, in the space of a region.",
    ),
    Feature(
        name="environment.image",
        kind="vector",
        modality="environment",
        source="means over the training posts",
        fitted=True,
        description="Mean image.vector of the author's other posts: what they tend to show.",
    ),
    Feature(
        name="environment.topics",
        kind="vector",
        modality="environment",
        source="means over the training posts",
        fitted=True,
        description="Mean topics of the author's other posts: what they tend to write about.",
    ),
    Feature(
        name="environment.caption",
        kind="vector",
        modality="environment",
        source="means over the training posts",
        fitted=True,
        description="Mean caption.vector of the author's other posts: how they tend to write.",
    ),
    Feature(
        name="affect.text",
        kind="vector",
        modality="caption",
        source="text emotion reader",
        fitted=False,
        description="Valence, arousal and dominance (3) that the caption expresses, on the scales "
        "of the project.",
    ),
    Feature(
        name="affect.image",
        kind="vector",
        modality="image",
        source="picture emotion reader",
        fitted=False,
        description="Valence and arousal (2) that the cover picture evokes, on the scales of the "
        "project: read from what is recognised in it, by nobody's ratings of pictures.",
    ),
    Feature(
        name="affect.face",
        kind="vector",
        modality="image",
        source="face encoder",
        fitted=False,
        description="Faces on the cover: how many, how large, how much the largest smiles; with "
        "the encoder 'fer' also what it expresses.",
    ),
    Feature(
        name="sentiment.text",
        kind="vector",
        modality="caption",
        source="SnowNLP (Chinese), VADER (others)",
        fitted=False,
        description="How positive title and caption are (6): polarity in [-1, 1], then 0 or 1 for "
        "each of five levels.",
    ),
    Feature(
        name="likability.known",
        kind="vector",
        modality="metadata",
        source="the post's own likes",
        fitted=True,
        description="Number of likes so far: log(1 + likes), standardised. UNKNOWN BEFORE POSTING: "
        "only for models of published posts.",
    ),
    Feature(
        name="user.vector",
        kind="vector",
        modality="user",
        source="text encoder",
        fitted=False,
        description="For viewings: mean vector of the descriptions of the user's groups.",
    ),
    Feature(
        name="viewing.comment",
        kind="vector",
        modality="comment",
        source="text encoder",
        fitted=False,
        description="For viewings: the comment that the user left, as one vector. UNKNOWN BEFORE "
        "THE USER HAS COMMENTED, and often what the emotion was read from.",
    ),
    Feature(
        name="image.pixels",
        kind="vector",
        modality="image",
        source="image encoder, fine-tuned",
        fitted=False,
        description="Cover picture as uint8 pixels, for fine-tuning.",
    ),
    Feature(
        name="caption.ids",
        kind="tokens",
        modality="caption",
        source="text encoder, fine-tuned",
        fitted=False,
        description="Token ids of the caption, for fine-tuning.",
    ),
    *(
        Feature(
            name=f"{field}.ids",
            kind="tokens",
            modality="caption",
            source="text encoder, fine-tuned",
            fitted=False,
            description=f"Token ids of what {field}.tokens is computed from, for fine-tuning.",
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


# What "builtin" meant in files of the releases that saved it.
_FORMERLY = {"image_encoder": "descriptors", "object_encoder": "salient"}


class FeatureSettings(Settings):
    """Which encoders compute the features, and how.

    An encoder is named ``builtin``, by a name of its own, or ``KIND:WHERE``:
    ``timm:resnext101_32x8d``, ``torchvision:resnet50``,
    ``transformers:openai/clip-vit-base-patch32``, where WHERE is the name of an architecture or hub
    model, or a local folder. Of pictures and objects, ``builtin`` stands for what is the default
    here, and is replaced by its name: what was saved has to mean the same in every release.
    """

    image_encoder: str = Field(
        "lite0",
        description="encoder of pictures: builtin (which is lite0), lite1, lite2, descriptors, "
        "timm:…, torchvision:… or transformers:…",
    )
    text_encoder: str = Field(
        "builtin",
        description="encoder of texts: builtin (English), use (17 languages) or transformers:…",
    )
    object_encoder: str = Field(
        "lite0",
        description="encoder of objects in pictures: builtin (which is lite0), salient or "
        "torchvision:…",
    )
    face_encoder: str = Field(
        "builtin",
        description="encoder of faces: builtin, fer or fer:FILE; fer reads what faces express",
    )
    affect_reader: Literal["builtin", "use"] = Field(
        "builtin",
        description="reader of captions' emotion: builtin (English) or use (17 languages)",
    )
    views: int = Field(
        1,
        ge=1,
        le=16,
        description="views of each picture for frozen encoders: the first as it is, the others "
        "augmented; those that are fine-tuned see a new one in every epoch",
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
    hashtag_stems: bool = Field(
        False,
        description="read hashtags by Porter's stems (Table 3), so that sunset and sunsets are one",
    )
    topics: int = Field(
        400,
        ge=2,
        le=2000,
        description="most topics of captions; there is at most one per ten captions",
    )
    history_min_age_hours: float = Field(
        0.0,
        ge=0,
        le=24 * 365,
        description="age in hours from which the counts of an author's earlier post are seen; "
        "those of younger posts still grow",
    )
    generated_comments: bool = Field(
        False, description="for viewings: also read comments that a model wrote"
    )

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> Self:
        """Settings from a file: the inverse of ``model_dump(mode="json")`` in every release."""
        names = {name: old for name, old in _FORMERLY.items() if saved.get(name) == "builtin"}
        return cls.model_validate({**saved, **names})

    @field_validator("image_encoder", "object_encoder")
    @classmethod
    def _by_its_name(cls, name: str, field: ValidationInfo) -> str:
        default: str = cls.model_fields[field.field_name or ""].default
        return default if name == "builtin" else name

    @field_validator("text_steps")
    @classmethod
    def _in_order(cls, steps: tuple[TextStep, ...]) -> tuple[TextStep, ...]:
        return tuple(step for step in TEXT_STEPS if step in steps)
