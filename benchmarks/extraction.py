"""Extraction against the loop that a user would write, and how its memory grows.

Pictures: a ResNet-50 with random weights on JPEGs of 1080 × 1080 pixels. The loop opens them with
Pillow, 32 at a time, and runs the network in float32. Captions: a BERT-base with random weights;
the loop takes 32 at a time in the order of the dataset and pads them to the longest. Ours is
``extract_posts`` as everybody calls it, hashing and caching included. The loops run on one thread,
ours on ``--threads`` (all cores by default; ``--threads 1`` shows what is owed to the code alone),
in turns, so that a machine that does other things at the same time slows both. The same loop runs
against the builtin encoder of pictures, a smaller network, which is what a user gets by default.
Pictures are counted at the rate of a long extraction: the network's export to ONNX Runtime, once
per process after 1,000 pictures, is timed apart.

The captions' lengths follow those of 189 posts of 20 public accounts: log-normal, median 27 word
pieces, a tenth of them cut at 128.

Memory: peak resident size of a process that extracts the builtin features of 2,000 and of 20,000
different posts.

    python benchmarks/extraction.py --images 256 --texts 512

The last line is JSON; ``--json FILE`` writes it, too.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from record import add_json_option, finish, table

from evoked.features._sources import _image_encoder
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders._inference import bfloat16_is_fast
from evoked.features.encoders.pretrained_image import NetworkImageEncoder
from evoked.features.extract import extract_posts, fingerprints
from evoked.posts.dataset import PostDataset

IMAGE_ENCODER = "timm:resnet50?pretrained=false"
BATCH = 32
MAX_TOKENS = 128
MEMORY_POSTS = (2_000, 20_000)
MEMORY_FEATURES = ["image.map", "image.vector", "caption.tokens", "caption.vector"]
Floats = NDArray[np.float32]


def write_jpegs(folder: Path, n: int, size: int) -> list[Path]:
    """Pictures with large and small structure, as photographs have."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(n)]
    for path in paths:
        scales = [
            np.asarray(
                Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(
                    (size, size), Image.Resampling.BICUBIC
                ),
                dtype=np.float32,
            )
            for cells in (4, 16, size // 4)
        ]
        pixels = 0.5 * scales[0] + 0.35 * scales[1] + 0.15 * scales[2]
        Image.fromarray(pixels.astype(np.uint8)).save(path, quality=85)
    return paths


def write_captions(n: int) -> list[str]:
    """Captions of made-up words, one word piece each."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(np.log(27), 1.21, n).astype(int), 1, 400)
    words = random.zipf(1.3, lengths.sum()).clip(max=999)
    pieces = iter(f"word{number}" for number in words)
    return [" ".join(next(pieces) for _ in range(length)) for length in lengths]


def write_bert(folder: Path) -> None:
    """BERT-base with random weights, and a tokenizer that knows the made-up words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"word{number}" for number in range(1000))]
    tokenizer = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=512
    ).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(folder)


class PlainImageLoop:
    """What a user would write: Pillow, batches of 32, float32."""

    def __init__(self) -> None:
        from evoked.features.encoders.pretrained_image import timm_backbone

        backbone = timm_backbone("resnet50", pretrained=False, image_size=None)
        self.model = backbone.build().eval()
        self.size = backbone.image_size
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (backbone.mean, backbone.std))

    def __call__(self, paths: Sequence[Path]) -> Floats:
        vectors = []
        for start in range(0, len(paths), BATCH):
            images = []
            for path in paths[start : start + BATCH]:
                image = Image.open(path).convert("RGB").resize((self.size, self.size))
                pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
                images.append((pixels - self.mean) / self.std)
            with torch.no_grad():
                _, vector = self.model.features(torch.stack(images))
            vectors.append(vector.numpy())
        return np.concatenate(vectors)


class PlainTextLoop:
    """What a user would write: batches of 32 in order, padded to the longest, float32."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).eval()

    def __call__(self, texts: Sequence[str]) -> Floats:
        vectors = []
        for start in range(0, len(texts), BATCH):
            batch = self.tokenizer(
                list(texts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            with torch.no_grad():
                states = self.model(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            vectors.append(((states * mask).sum(1) / mask.sum(1)).numpy())
        return np.concatenate(vectors)


def ours(feature: str, settings: FeatureSettings, cache: Path) -> Callable[[Sequence[Any]], Floats]:
    """Extraction of one feature, from posts to the rows of the table."""
    fingerprints([feature], settings)  # loads the network: neither side's time includes that

    def run(contents: Sequence[Any]) -> Floats:
        is_image = feature.startswith("image")
        posts = pd.DataFrame(
            {
                "post_id": [str(number) for number in range(len(contents))],
                "caption": [None] * len(contents) if is_image else list(contents),
            }
        )
        images = list(contents) if is_image else [None] * len(contents)
        table, problems = extract_posts(
            posts, images, [feature], settings, cache=FeatureCache(cache)
        )
        assert not problems
        return table.take(np.arange(len(posts)))[feature].numpy()

    return run


def export(threads: int) -> dict[str, float | None]:
    """Hand the network to ONNX Runtime, which extraction does by itself after 1,000 pictures."""
    encoder = _image_encoder(IMAGE_ENCODER)  # the very one that extraction uses
    assert isinstance(encoder, NetworkImageEncoder)
    torch.set_num_threads(threads)
    begun = time.perf_counter()
    done = encoder.export()
    return {"export_seconds": round(time.perf_counter() - begun, 1) if done else None}


def race(
    plain: Callable[[Sequence[Any]], Floats],
    fast: Callable[[Sequence[Any]], Floats],
    contents: Sequence[Any],
    rounds: int,
    threads: int,
) -> dict[str, float]:
    """Items per second of both sides, taking turns, and the cosine of what they give."""
    plain(contents[:2]), fast(contents[:2])
    seconds = {"plain": 0.0, "ours": 0.0}
    cpu_seconds = dict(seconds)
    results: dict[str, list[Floats]] = {"plain": [], "ours": []}
    for part in np.array_split(np.arange(2, len(contents)), rounds):
        chosen = [contents[i] for i in part]
        for name, side, on_threads in (("plain", plain, 1), ("ours", fast, threads)):
            torch.set_num_threads(on_threads)
            begun, cpu_begun = time.perf_counter(), time.process_time()
            results[name].append(side(chosen))
            seconds[name] += time.perf_counter() - begun
            cpu_seconds[name] += time.process_time() - cpu_begun
    n = len(contents) - 2
    return {
        "n": n,
        "plain_per_second": round(n / seconds["plain"], 2),
        "ours_per_second": round(n / seconds["ours"], 2),
        "ratio": round(seconds["plain"] / seconds["ours"], 2),
        # Of the processor time of all threads: what a busy machine distorts less.
        "cpu_ratio": round(cpu_seconds["plain"] / cpu_seconds["ours"], 2),
        **_agreement(np.concatenate(results["plain"]), np.concatenate(results["ours"])),
    }


def _agreement(plain: Floats, ours: Floats) -> dict[str, float]:
    """The lowest cosine of what both sides give; nothing where they ran different networks."""
    if plain.shape != ours.shape:
        return {}
    lengths = np.linalg.norm(plain, axis=1) * np.linalg.norm(ours, axis=1)
    return {"lowest_cosine": round(float(((plain * ours).sum(1) / lengths).min()), 5)}


def peak_memory(n: int, folder: Path) -> float:
    """MiB that a process of its own takes at most to extract n posts."""
    posts = folder / f"posts-{n}"
    pictures = write_jpegs(folder / f"pictures-{n}", n, 64)
    captions = write_captions(n)
    frame = pd.DataFrame(
        {
            "post_id": [path.stem for path in pictures],
            # A number in front, for equal captions are read once.
            "caption": [f"{i} {caption}" for i, caption in enumerate(captions)],
            "images": [[path.name] for path in pictures],
        }
    )
    PostDataset.create(posts, {"posts": frame}, images=folder / f"pictures-{n}")
    command = [sys.executable, __file__, "--extract", str(posts), str(folder / f"cache-{n}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def extract_and_weigh(posts: Path, cache: Path) -> None:
    """What the process of :func:`peak_memory` does."""
    from evoked.features.extract import extract

    extract(PostDataset(posts), MEMORY_FEATURES, cache=FeatureCache(cache))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def rates(figures: dict[str, Any]) -> pd.DataFrame:
    """A row for each race that was run."""
    names = {
        "images": "pictures, ResNet-50 on both sides",
        "builtin_images": "pictures, our default against the ResNet-50",
        "texts": "texts, BERT-base on both sides",
    }
    rows = [
        {
            "": title,
            "the loop, per second": figures[name]["plain_per_second"],
            "ours, per second": figures[name]["ours_per_second"],
            "ratio": figures[name]["ratio"],
            "ratio of processor time": figures[name]["cpu_ratio"],
            "lowest cosine": str(figures[name].get("lowest_cosine", "–")),
            "n": figures[name]["n"],
        }
        for name, title in names.items()
        if name in figures
    ]
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=4, help="turns that each side takes")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of our side")
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--extract", nargs=2, type=Path, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.extract:
        extract_and_weigh(*arguments.extract)
        return
    # Much of our lead is bfloat16, which only some processors compute faster than float32.
    figures: dict[str, Any] = {
        "threads": arguments.threads,
        "bfloat16": bfloat16_is_fast(),
    }
    turns = {"rounds": arguments.rounds, "threads": arguments.threads}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.images:
            settings = FeatureSettings(image_encoder=IMAGE_ENCODER)
            paths = write_jpegs(folder / "pictures", arguments.images, 1080)
            fast = ours("image.vector", settings, folder / "cache")
            export_seconds = export(arguments.threads)
            figures["images"] = race(PlainImageLoop(), fast, paths, **turns) | export_seconds
            fast = ours("image.vector", FeatureSettings(), folder / "cache")
            figures["builtin_images"] = race(PlainImageLoop(), fast, paths, **turns)
        if arguments.texts:
            write_bert(folder / "bert")
            settings = FeatureSettings(
                text_encoder=f"transformers:{folder / 'bert'}", max_tokens=MAX_TOKENS
            )
            fast = ours("caption.vector", settings, folder / "cache")
            texts = write_captions(arguments.texts)
            figures["texts"] = race(PlainTextLoop(folder / "bert"), fast, texts, **turns)
        if arguments.memory:
            small, large = (peak_memory(n, folder) for n in MEMORY_POSTS)
            figures["memory"] = {
                "peak_mib_2000": round(small),
                "peak_mib_20000": round(large),
                "growth_mib": round(large - small),
            }
    finish(
        arguments,
        figures,
        tables={"rates": table(rates(figures), ".2f")},
        code=["src/evoked/features/extract.py", "src/evoked/features/encoders"],
        libraries=("torch", "onnxruntime"),
    )


if __name__ == "__main__":
    main()
