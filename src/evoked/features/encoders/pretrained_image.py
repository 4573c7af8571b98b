"""Pretrained networks of timm, torchvision and transformers as image encoders, by one class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from evoked.errors import MissingExtraError, SettingsError
from evoked.features.encoders._checkpoints import (
    checkpoint_folder,
    fingerprint_of,
    fingerprint_of_files,
    first_line,
    loading,
    with_random_weights,
)
from evoked.features.encoders._inference import (
    fast_inference,
    images_per_batch,
    inference_device,
    prepared_for_inference,
)
from evoked.features.encoders._onnx import PICTURES_WORTH_AN_EXPORT, Features, exported
from evoked.features.encoders.base import ImageEncoder, ImageFeatures
from evoked.files import read_json

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageNetwork(nn.Module, ABC):
    """A network that turns pixels (n, 3, size, size) into a map (n, positions, channels)."""

    @abstractmethod
    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map (n, positions, channels) and vector (n, size)."""

    def forward(self, pixels: Tensor) -> Tensor:
        return self.features(pixels)[0]

    def train(self, mode: bool = True) -> Self:
        """As of every module, but batch normalisations keep the statistics that they came with:
        those of a small batch are worse, more so where posts without a picture are in it."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self


@dataclass(frozen=True)
class Backbone:
    """What an encoder needs from any of the three libraries.

    Attributes
    ----------
    build
        Makes the network with its weights, a new one at every call.
    fingerprint
        Names the architecture and its weights.
    image_size
        Edge of its input in pixels.
    mean, std
        Mean and standard deviation of the pixels in [0, 1], per colour.
    """

    build: Callable[[], ImageNetwork]
    fingerprint: str
    image_size: int
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD


class NetworkImageEncoder(ImageEncoder):
    """A pretrained network.

    Parameters
    ----------
    backbone
        From :func:`timm_backbone`, :func:`torchvision_backbone` or :func:`transformers_backbone`.

    Raises
    ------
    SettingsError
        The network doesn't take pictures of this size, or gives no map.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.fingerprint = f"{backbone.fingerprint}:{backbone.image_size}"
        self.image_size = backbone.image_size
        self._backbone = backbone
        self._network = cast(ImageNetwork, prepared_for_inference(backbone.build()))
        self._features: Features = self._network.features
        self._pictures_until_export = PICTURES_WORTH_AN_EXPORT
        blank = np.zeros((1, self.image_size, self.image_size, 3), np.uint8)
        with loading(backbone.fingerprint):
            features = self.encode(blank)
        edge = round(features.map.shape[1] ** 0.5)
        if edge**2 != features.map.shape[1]:
            raise SettingsError(
                f"{backbone.fingerprint} gives {features.map.shape[1]} positions, which form no "
                "square grid."
            )
        self.grid = (edge, edge)
        self.map_channels = features.map.shape[2]
        self.vector_size = features.vector.shape[1]

    def encode(self, images: NDArray[np.uint8]) -> ImageFeatures:
        maps: list[NDArray[np.float32]] = []
        vectors: list[NDArray[np.float32]] = []
        step = images_per_batch()
        self._count(len(images))
        for start in range(0, len(images), step):
            batch = torch.from_numpy(images[start : start + step]).to(inference_device())
            with fast_inference():
                map_, vector = self._features(self.normalise(batch))
            maps.append(map_.float().cpu().numpy())
            vectors.append(vector.float().cpu().numpy())
        if not maps:
            return ImageFeatures(
                np.zeros((0, self.grid[0] * self.grid[1], self.map_channels), np.float32),
                np.zeros((0, self.vector_size), np.float32),
            )
        return ImageFeatures(np.concatenate(maps), np.concatenate(vectors))

    def export(self) -> bool:
        """Run by ONNX Runtime from now on, where that is faster; see
        :func:`evoked.features.encoders._onnx.exported`. Done by itself after
        :data:`evoked.features.encoders._onnx.PICTURES_WORTH_AN_EXPORT` pictures."""
        blank = torch.zeros(1, 3, self.image_size, self.image_size)
        with torch.no_grad():
            features = exported(self._network, blank)
        self._features = features or self._network.features
        return features is not None

    @property
    def network_in_use(self) -> ImageNetwork:
        """The frozen network that encodes."""
        return self._network

    def _count(self, pictures: int) -> None:
        if self._pictures_until_export > 0:
            self._pictures_until_export -= pictures
            if self._pictures_until_export <= 0:
                self.export()

    def network(self) -> ImageNetwork:
        return self._backbone.build().train().requires_grad_(True)

    def normalise(self, images: Tensor) -> Tensor:
        mean = torch.tensor(self._backbone.mean, device=images.device) * 255
        std = torch.tensor(self._backbone.std, device=images.device) * 255
        # Moved axes of an array with colours last are the channels-last layout of the network.
        return ((images - mean) / std).movedim(-1, 1)


# timm ---------------------------------------------------------------------------------------------


class _TimmNetwork(ImageNetwork):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.model.forward_features(pixels)
        return self._positions(features), self.model.forward_head(features, pre_logits=True)

    def _positions(self, features: Tensor) -> Tensor:
        if features.ndim == 3:  # a transformer's tokens, after its class token and registers
            return features[:, self.model.num_prefix_tokens :]
        if features.shape[1] == self.model.num_features:
            features = features.movedim(1, -1)
        return features.flatten(1, 2)


def timm_backbone(name: str, *, pretrained: bool, image_size: int | None) -> Backbone:
    """A network of timm.

    Parameters
    ----------
    name
        An architecture such as ``resnext101_32x8d`` (its default weights are taken), a hub model
        such as ``timm/resnet50.a1_in1k``, or a local folder with ``config.json`` and
        ``model.safetensors``.
    pretrained
        False for random weights, for benchmarks and tests.
    image_size
        Edge of the input in pixels; the network's own by default.

    Raises
    ------
    SettingsError
        An unknown architecture, or weights that aren't available.
    MissingExtraError
        timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "hub", f"the image encoder 'timm:{name}'") from error

    known = timm.get_pretrained_cfg(name) if "/" not in name and timm.is_model(name) else None
    if pretrained:
        folder = checkpoint_folder((known and known.hf_hub_id) or name)
        source, weights = f"local-dir:{folder}", fingerprint_of(folder)
        saved = read_json(folder / "config.json")
        architecture, configuration = saved.get("architecture"), saved.get("pretrained_cfg", {})
    elif known:
        source, weights = name, f"random-weights-{timm.__version__}-{torch.__version__}"
        architecture, configuration = name, known.to_dict()
    else:
        raise SettingsError(f"timm knows no architecture {name!r}; random weights need one.")

    def build() -> ImageNetwork:
        with loading(f"timm:{name}"):
            return with_random_weights(
                lambda: _TimmNetwork(timm.create_model(source, pretrained, num_classes=0))
            )

    data = timm.data.resolve_data_config(pretrained_cfg=configuration)
    return Backbone(
        build,
        f"timm:{architecture}:{weights}",
        image_size or int(data["input_size"][-1]),
        tuple(data["mean"]),
        tuple(data["std"]),
    )


# torchvision --------------------------------------------------------------------------------------


class _TorchvisionNetwork(ImageNetwork):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.stages = _stages(model)

    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        map_ = self.stages(pixels).movedim(1, -1).flatten(1, 2)
        return map_, map_.mean(1)


def _stages(model: nn.Module) -> nn.Module:
    """The convolutional part of a classifier."""
    if isinstance(features := getattr(model, "features", None), nn.Module):
        return features
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    if not hasattr(model, "layer4"):
        raise SettingsError(
            f"{type(model).__name__} of torchvision has no convolutional map; choose a ResNet, "
            "ResNeXt, DenseNet, EfficientNet, ConvNeXt …"
        )
    return nn.Sequential(*(getattr(model, name) for name in names))


def torchvision_backbone(name: str, *, pretrained: bool, image_size: int | None) -> Backbone:
    """A convolutional classifier of torchvision.

    Parameters
    ----------
    name
        An architecture such as ``resnet50`` (its default weights are taken), or a file with its
        state dict (``.safetensors``, or ``.pth`` read with ``weights_only``), whose name starts
        with the architecture as torchvision's own do: ``resnet50-11ad3fa6.pth``.
    pretrained, image_size
        As for :func:`timm_backbone`; 224 pixels by default.

    Raises
    ------
    SettingsError
        An unknown architecture, or weights that aren't available.
    MissingExtraError
        torchvision is not installed.
    """
    weights = torchvision_weights(name, pretrained)

    def build() -> ImageNetwork:
        with loading(f"torchvision:{name}"):
            return _TorchvisionNetwork(weights.build())

    return Backbone(build, f"torchvision:{weights.fingerprint}", image_size or 224)


@dataclass(frozen=True)
class TorchvisionWeights:
    """An architecture of torchvision and the file with its weights; None for random ones."""

    architecture: str
    file: Path | None

    @property
    def fingerprint(self) -> str:
        import torchvision

        if self.file is None:
            return f"{self.architecture}:random-weights-{torchvision.__version__}"
        return f"{self.architecture}:{fingerprint_of_files([self.file])}"

    def build(self, **options: Any) -> nn.Module:
        """Make the network; further options are its constructor's."""
        from torchvision.models import get_model

        network = with_random_weights(
            lambda: get_model(self.architecture, weights=None, **_no_backbone(self), **options)
        )
        if self.file is not None:
            network.load_state_dict(_state_dict(self.file))
        return network


def torchvision_weights(name: str, pretrained: bool) -> TorchvisionWeights:
    """Find out which architecture of torchvision is meant, and fetch its weights."""
    try:
        from torchvision.models import list_models
    except ImportError as error:
        raise MissingExtraError(
            "torchvision", "hub", f"the encoder 'torchvision:{name}'"
        ) from error

    file = Path(name).expanduser()
    architectures = set(list_models())
    if name in architectures:
        return TorchvisionWeights(name, _downloaded(name) if pretrained else None)
    if not file.is_file():
        raise SettingsError(
            f"torchvision knows no architecture {name!r}, and there is no such file; "
            "architectures are resnet50, resnext101_32x8d, fasterrcnn_resnet50_fpn …"
        )
    architecture = file.name.split(".")[0].split("-")[0]
    if architecture not in architectures:
        raise SettingsError(
            f"{file}: the file's name has to start with its architecture, as in "
            "resnet50-11ad3fa6.pth. Rename it."
        )
    return TorchvisionWeights(architecture, file)


def _no_backbone(weights: TorchvisionWeights) -> dict[str, Any]:
    """Keep detectors from fetching weights of their backbone."""
    return {"weights_backbone": None} if "rcnn" in weights.architecture else {}


def _state_dict(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    return cast(dict[str, Tensor], torch.load(file, map_location="cpu", weights_only=True))


def _downloaded(architecture: str) -> Path:
    """The default weights in torch's own cache, fetched if they are not there."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    url, file = _default_weights(architecture)
    if file.is_file():
        return file
    try:
        if HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), _hash_in(file), progress=False)
    except Exception as error:  # no connection, a proxy's page, another checksum
        raise SettingsError(
            f"the weights of torchvision's {architecture} are not in the local cache and could "
            f"not be fetched ({first_line(error)}).\nGo online once (and unset HF_HUB_OFFLINE); "
            f"or bring {file.name} here and name the file; or use the encoder 'builtin'."
        ) from error
    return file


def torchvision_file(architecture: str) -> Path | None:
    """Where torch's own cache has, or would have, the default weights; None for a name that is no
    architecture of torchvision."""
    try:
        return _default_weights(architecture)[1]
    except (ImportError, ValueError):
        return None


def _default_weights(architecture: str) -> tuple[str, Path]:
    from torchvision.models import get_model_weights

    url = get_model_weights(architecture).DEFAULT.url
    return url, Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def _hash_in(file: Path) -> str:
    """The start of the checksum, which is part of the names of torchvision's files."""
    return file.stem.rsplit("-", 1)[-1]


# transformers -------------------------------------------------------------------------------------


class _TransformersNetwork(ImageNetwork):
    """A vision transformer, on its own or part of a model of pictures and texts (CLIP, SigLIP)."""

    def __init__(self, model: nn.Module, positions: int, pooled: bool) -> None:
        super().__init__()
        self.model = model
        self.positions = positions
        self.pooled = pooled

    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(pixel_values=pixels)
        tokens = output.last_hidden_state
        map_ = tokens[:, tokens.shape[1] - self.positions :]
        if self.pooled and (vector := getattr(output, "pooler_output", None)) is not None:
            return map_, vector
        has_class_token = tokens.shape[1] > self.positions
        return map_, tokens[:, 0] if has_class_token else map_.mean(1)


def transformers_backbone(name: str) -> Backbone:
    """A vision transformer of transformers: ViT, DeiT, DINOv2, the towers of CLIP and SigLIP …

    The map consists of the patches' tokens; the vector is the model's pooled output, or its class
    token where it pools nothing.

    Parameters
    ----------
    name
        A hub model or a local folder. A folder with the whole of CLIP or SigLIP will do.

    Raises
    ------
    SettingsError
        The weights aren't available or are incomplete, or it isn't a vision transformer.
    """
    folder = checkpoint_folder(name)
    with loading(f"transformers:{name}"):
        from transformers import AutoConfig

        whole = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        configuration = getattr(whole, "vision_config", whole)
    size, patch = (getattr(configuration, key, None) for key in ("image_size", "patch_size"))
    if not isinstance(size, int) or not isinstance(patch, int):
        raise SettingsError(
            f"{name!r} is a {whole.model_type} model, which has no square grid of patches; "
            "expected a vision transformer such as ViT, CLIP or SigLIP."
        )

    def build() -> ImageNetwork:
        with loading(f"transformers:{name}"):
            model, pooled = _vision_model(folder, configuration)
            return _TransformersNetwork(model, (size // patch) ** 2, pooled)

    mean, std = _processor_statistics(folder)
    kind = configuration.model_type
    return Backbone(build, f"transformers:{kind}:{fingerprint_of(folder)}", size, mean, std)


def _vision_model(folder: Path, configuration: Any) -> tuple[nn.Module, bool]:
    """The vision transformer, and whether its pooling, if any, has trained weights: classifiers are
    published without them."""
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        folder,
        config=configuration,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    if missing:
        raise SettingsError(
            f"{folder} lacks {len(missing)} of the network's weights, {sorted(missing)[0]} for one."
        )
    return model, not report["missing_keys"]


def _processor_statistics(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation from preprocessor_config.json, ImageNet's if there is none."""
    file = folder / "preprocessor_config.json"
    settings = read_json(file) if file.is_file() else {}
    mean = settings.get("image_mean", _IMAGENET_MEAN)
    std = settings.get("image_std", _IMAGENET_STD)
    return tuple(mean), tuple(std)
