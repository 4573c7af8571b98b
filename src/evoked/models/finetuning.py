"""Fine-tuning: encoders of pictures and texts that become part of a network and learn with it.

A model that offers it has the setting ``finetune``. Frozen, it reads what the encoders gave once
and for all; fine-tuned, it reads pixels and token ids, and its pictures are augmented anew in every
epoch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from evoked.errors import SettingsError
from evoked.features.catalog import FeatureSettings
from evoked.features.table import FRESH_VIEWS
from evoked.layers.checkpointing import checkpointed
from evoked.layers.tokens import NormalisedPixels
from evoked.models.base import ModelSettings
from evoked.models.neural import NeuralModel

_RATE = "_learning_rate"


class FinetuningSettings(ModelSettings):
    """Settings of models whose encoders can be fine-tuned.

    Learning rates of single parts are called ``PART_learning_rate``.
    """

    finetune: bool = Field(
        False, description="also train the encoders of picture and text (see Fine-tuning)"
    )
    augment: bool = Field(
        True,
        description="when fine-tuning, flip, turn and brighten pictures anew in every epoch",
    )
    activation_checkpointing: bool = Field(
        False,
        description="when fine-tuning, compute what the encoders' blocks gave a second time for "
        "the gradient, in place of keeping it: less memory, more time, the same result",
    )


class FinetuningModel(NeuralModel):
    """A network whose encoders can be fine-tuned.

    Raises
    ------
    SettingsError
        A setting of fine-tuning was given that would do nothing.
    """

    Settings: ClassVar[type[ModelSettings]] = FinetuningSettings

    settings: FinetuningSettings

    def __init__(
        self,
        settings: ModelSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self._refuse_idle_settings()

    @property
    @abstractmethod
    def parts(self) -> Collection[str]:
        """The parts with learning rates of their own in the network that the settings describe,
        were it fine-tuned: ``image`` for ``image_learning_rate``."""

    @property
    def views(self) -> int:
        if not self.settings.finetune:
            return super().views
        return FRESH_VIEWS if self.settings.augment else 1

    def _refuse_idle_settings(self) -> None:
        """Raise SettingsError if somebody chose a setting that does nothing; the default is no
        choice, since saved settings name them all."""
        usual = type(self.settings).model_fields
        chosen = [
            name
            for name in self.settings.model_fields_set
            if getattr(self.settings, name) != usual[name].default
        ]
        parts = {name: name.removesuffix(_RATE) for name in chosen}
        some = min(self.parts, default="encoder")  # a network of metadata alone has none
        parts_of = {"augment": "image", "activation_checkpointing": some}
        for name, part in (parts | parts_of).items():
            if name not in parts or part == name:
                continue
            if not self.settings.finetune:
                raise SettingsError(
                    f"{self.name}: {name} does nothing while the encoders are frozen. "
                    "Set finetune=true as well, or leave it out."
                )
            if part not in self.parts:
                others = f"; it has {', '.join(sorted(self.parts))}" if self.parts else ""
                raise SettingsError(
                    f"{self.name}: {name} does nothing, since this network has no {part}{others}. "
                    "Leave it out."
                )


class TrainableEncoders:
    """Encoders of image and caption that become part of a network and are trained with it.

    Attributes
    ----------
    image
        Maps uint8 pixels to a map, or None.
    caption
        Maps token ids and mask to token vectors, or None.
    widths
        Their channels, by name of the frozen feature that they replace.
    """

    def __init__(self) -> None:
        self.image: nn.Module | None = None
        self.caption: nn.Module | None = None
        self.widths: dict[str, int] = {}


def trainable_encoders(
    modalities: Collection[str], settings: FeatureSettings, activation_checkpointing: bool
) -> TrainableEncoders:
    """Copies of the encoders that ``settings`` names, for image and caption if ``modalities`` has
    them; with ``activation_checkpointing``, see :mod:`evoked.layers.checkpointing`.

    Raises
    ------
    SettingsError
        An encoder that is not available, or that has no weights to train.
    """
    encoders = TrainableEncoders()
    if not modalities:
        return encoders
    # Imports the libraries of the networks, which takes seconds.
    from evoked.features.encoders.registry import image_encoder, text_encoder

    def prepared(network: nn.Module) -> nn.Module:
        return checkpointed(network) if activation_checkpointing else network

    if "image" in modalities:
        image = image_encoder(settings.image_encoder)
        encoders.image = nn.Sequential(NormalisedPixels(image), prepared(image.network()))
        encoders.widths["image.map"] = image.map_channels
        encoders.widths["image.vector"] = image.vector_size
    if "caption" in modalities:
        text = text_encoder(settings.text_encoder, settings.max_tokens)
        encoders.caption = prepared(text.network())
        encoders.widths["caption.tokens"] = text.token_channels
        encoders.widths |= dict.fromkeys(("caption.vector", "text.vector"), text.vector_size)
    return encoders


def grouped_parameters(
    network: nn.Module,
    modules: Collection[tuple[nn.Module | None, float]],
    learning_rate: float,
) -> list[dict[str, Any]]:
    """Parameters of some modules with learning rates of their own, the others with
    ``learning_rate``."""
    groups: list[dict[str, Any]] = [
        {"params": list(module.parameters()), "lr": rate}
        for module, rate in modules
        if module is not None
    ]
    named = {id(parameter) for group in groups for parameter in group["params"]}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in named]
    return [*groups, {"params": rest, "lr": learning_rate}]
