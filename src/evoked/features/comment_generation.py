"""Comments that a vision-language model writes for viewings without one.

Bhattacharyya et al. (2024), *HMG-Emo*, Section IV-C2 and Figure 4: LLaVA gets the picture and
the emotion that its viewer felt, as a synonym drawn at random, so that two viewers of one picture
get two comments. The wording of the prompt is ours.

**The emotion goes in, so it can be read out**: a generated comment says nothing about what anybody
felt that its label didn't say before. Generated comments are marked in the viewings, count as
missing unless :class:`evoked.features.catalog.FeatureSettings` asks for them, and are useful for
Table III only.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from evoked.errors import DataError, ImageError, SettingsError
from evoked.files import only_writer
from evoked.posts.dataset import PostDataset
from evoked.posts.images import load_image
from evoked.progress import Progress
from evoked.targets.emotion import emotion_classes

SYNONYMS: dict[str, tuple[str, ...]] = {
    "amusement": (
        "amused",
        "entertained",
        "tickled",
        "in a playful mood",
        "full of laughter",
        "humoured",
        "cheered up",
        "ready to laugh",
    ),
    "awe": (
        "in awe",
        "amazed",
        "full of wonder",
        "overwhelmed by beauty",
        "astonished",
        "deeply impressed",
        "spellbound",
        "speechless",
    ),
    "contentment": (
        "content",
        "at peace",
        "satisfied",
        "calm and happy",
        "relaxed",
        "at ease",
        "serene",
        "comfortable",
    ),
    "excitement": (
        "excited",
        "thrilled",
        "full of energy",
        "eager",
        "exhilarated",
        "enthusiastic",
        "fired up",
        "electrified",
    ),
    "anger": (
        "angry",
        "furious",
        "outraged",
        "irritated",
        "indignant",
        "annoyed",
        "enraged",
        "resentful",
    ),
    "disgust": (
        "disgusted",
        "repelled",
        "revolted",
        "sickened",
        "put off",
        "nauseated",
        "appalled",
        "full of aversion",
    ),
    "fear": (
        "afraid",
        "scared",
        "frightened",
        "terrified",
        "uneasy",
        "alarmed",
        "anxious",
        "full of dread",
    ),
    "sadness": (
        "sad",
        "sorrowful",
        "downcast",
        "heartbroken",
        "gloomy",
        "melancholic",
        "unhappy",
        "full of grief",
    ),
}
"""Ways to say that somebody feels each of Mikels' emotions."""

_PROMPT = (
    "You are scrolling through a photo-sharing site and stop at this picture. It leaves you "
    "{feeling}. Write the one short comment that you would leave below it. Answer with the "
    "comment alone."
)
# The format of LLaVA 1.5's training, for checkpoints that have no template of their own.
_TURNS = "USER: <image>\n{prompt} ASSISTANT:"

# Models scale pictures down further; a batch of photographs in full size would fill the memory.
_LARGEST_PICTURE = (1024, 1024)


class Generated(NamedTuple):
    """The result of :func:`generate_comments`.

    Attributes
    ----------
    dataset
        A copy of the dataset with the comments.
    written
        Number of comments that the model wrote.
    left
        Number of viewings that still have none, by reason.
    """

    dataset: PostDataset
    written: int
    left: dict[str, int]


class CommentWriter:
    """A vision-language model of the transformers library, such as LLaVA.

    Parameters
    ----------
    source
        A local folder, or a model on the Hugging Face hub such as ``llava-hf/llava-1.5-7b-hf``
        (with ``HF_HUB_OFFLINE=1`` only one that was downloaded before).
    longest
        Most tokens of a comment.

    Raises
    ------
    SettingsError
        The model can't be loaded, has no safetensors weights, or needs code from its folder
        (which is never run).
    """

    def __init__(self, source: Path | str, longest: int = 40) -> None:
        # Only the name of a folder, so that a dataset reveals nothing about this machine.
        self.name = Path(source).name if Path(source).is_dir() else str(source)
        self.longest = longest
        self._processor, self._model = _load(source)

    def write(self, pictures: Sequence[Image.Image], feelings: Sequence[str]) -> list[str]:
        """Write a comment on each of n pictures, as by somebody with that feeling.

        Comments are sampled, so they depend on torch's random state; '' where the model wrote
        nothing.
        """
        import torch

        from evoked.features.encoders._inference import inference_device

        inputs = self._processor(
            images=list(pictures),
            text=[self._turns(_PROMPT.format(feeling=feeling)) for feeling in feelings],
            return_tensors="pt",
            padding=True,
        ).to(inference_device(), self._model.dtype)
        with torch.inference_mode():
            written = self._model.generate(
                **inputs, do_sample=True, max_new_tokens=self.longest, use_cache=True
            )
        answers = written[:, inputs["input_ids"].shape[1] :]
        texts = self._processor.batch_decode(answers, skip_special_tokens=True)
        return [" ".join(text.split()).strip('"“” ') for text in texts]

    def _turns(self, prompt: str) -> str:
        if self._processor.chat_template is None:
            return _TURNS.format(prompt=prompt)
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        turns = [{"role": "user", "content": content}]
        return str(self._processor.apply_chat_template(turns, add_generation_prompt=True))


def generate_comments(
    dataset: PostDataset,
    writer: CommentWriter,
    dest: Path | str,
    *,
    seed: int = 0,
    batch: int = 8,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Generated:
    """Copy a network, with a comment for every viewing that has a known emotion and no comment.

    Parameters
    ----------
    dataset
        A network of viewings with pictures; it isn't changed.
    writer
        The model that writes.
    dest
        Folder of the copy, which appears when all is written; pictures are linked, not copied.
    seed
        Random seed for synonyms and sampling.
    batch
        Number of viewings per batch.
    limit
        Most comments to write, no limit by default. Called again with the copy as its dataset, the
        function goes on from there.
    progress
        Called with ``writing``, the number of viewings done and the number of all.

    Raises
    ------
    DataError
        Every viewing has a comment or no known emotion or picture; ``dest`` exists, lies in the
        dataset or is being written by another process.
    """
    dataset.check_apart(dest)
    with only_writer(Path(dest)):
        return _generate(dataset, writer, Path(dest), seed, batch, limit, progress)


def _generate(
    dataset: PostDataset,
    writer: CommentWriter,
    dest: Path,
    seed: int,
    batch: int,
    limit: int | None,
    progress: Progress | None,
) -> Generated:
    import torch

    viewings = dataset.table("viewings")
    pictures = dict(zip(dataset.posts["post_id"], dataset.cover_paths(), strict=True))
    paths = [pictures.get(post) for post in viewings["post_id"]]
    why = _why_not(viewings, paths)
    asked = np.flatnonzero(why == "")[:limit]
    if not len(asked):
        raise DataError(
            f"none of {len(viewings)} viewings lacks a comment and has a known emotion and a "
            "picture.",
            file=dataset.folder / "viewings.parquet",
        )
    feelings = _feelings(viewings["emotion"].to_numpy(object)[asked], seed)
    comments = viewings["comment"].to_numpy(object, copy=True)
    why[asked] = _NOTHING_SAID
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for start in range(0, len(asked), batch):
            part = slice(start, start + batch)
            answers = _answers(writer, [Path(paths[row]) for row in asked[part]], feelings[part])
            for row, answer in zip(asked[part], answers, strict=True):
                if answer is None:
                    why[row] = _UNREADABLE
                elif answer:
                    comments[row], why[row] = answer, _WRITTEN
            if progress is not None:
                progress("writing", min(start + batch, len(asked)), len(asked))
    written = why == _WRITTEN
    marked = viewings["generated"].eq(True).to_numpy() | written
    made = dataset.copy(
        dest,
        {"viewings": viewings.assign(comment=comments, generated=marked)},
        extra={"generated_comments": {"model": writer.name, "seed": seed}},
    )
    left = pd.Series(why[~written & (why != _THERE)]).replace("", _LIMIT).value_counts()
    return Generated(made, int(written.sum()), {str(key): int(n) for key, n in left.items()})


# What happened to a viewing.
_THERE, _WRITTEN = "it has a comment", "a comment was written"
_NO_EMOTION, _NO_PICTURE = "the emotion is unknown", "there is no picture"
_UNREADABLE, _NOTHING_SAID = "the picture can't be read", "the model wrote nothing"
_LIMIT = "the limit was reached"


def _why_not(viewings: pd.DataFrame, paths: Sequence[Path | None]) -> NDArray[np.object_]:
    """Why no comment is written for each of n viewings, (n,); '' where one is."""
    reasons = np.select(
        [
            viewings["comment"].fillna("").str.strip().ne(""),
            emotion_classes(viewings["emotion"]) < 0,
            [path is None for path in paths],
        ],
        [_THERE, _NO_EMOTION, _NO_PICTURE],
        default="",
    )
    return reasons.astype(object)


def _feelings(emotions: NDArray[np.object_], seed: int) -> list[str]:
    """A random synonym for each of n emotions."""
    random = np.random.default_rng(seed)
    return [SYNONYMS[emotion][random.integers(len(SYNONYMS[emotion]))] for emotion in emotions]


def _answers(
    writer: CommentWriter, paths: Sequence[Path], feelings: Sequence[str]
) -> list[str | None]:
    """The model's comment on each of n pictures; None where a picture can't be read."""
    pictures: dict[int, Image.Image] = {}
    for place, path in enumerate(paths):
        with suppress(ImageError):
            pictures[place] = Image.fromarray(load_image(path))
            pictures[place].thumbnail(_LARGEST_PICTURE)
    felt = [feelings[place] for place in pictures]
    written = writer.write(list(pictures.values()), felt) if pictures else []
    answers: list[str | None] = [None] * len(paths)
    for place, answer in zip(pictures, written, strict=True):
        answers[place] = answer
    return answers


def _load(source: Path | str) -> tuple[Any, Any]:
    """The processor and the frozen network; reads only safetensors, and runs no code of others."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from evoked.features.encoders._inference import bfloat16_is_fast, inference_device
    from evoked.features.encoders.transformers_text import quietly

    options = {"local_files_only": Path(source).is_dir(), "trust_remote_code": False}
    try:
        # Loading draws random numbers, which must not change the ones that the caller draws next.
        with quietly(), torch.random.fork_rng():
            processor = AutoProcessor.from_pretrained(str(source), **options)
            loaded: Any = AutoModelForImageTextToText.from_pretrained(
                str(source),
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.bfloat16 if bfloat16_is_fast() else torch.float32,
                **options,
            )
            model, report = loaded
    except (ImportError, OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"the vision-language model {str(source)!r} can't be loaded: {error} Give the name of "
            "one on the hub, or a folder with its configuration, processor, tokenizer and "
            "safetensors weights."
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise SettingsError(
            f"the vision-language model {str(source)!r} lacks {len(missing)} of the network's "
            f"weights, {missing[0]} for one."
        )
    tokenizer = processor.tokenizer
    # On the left, so that generated text follows the prompt and not its padding.
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor, model.to(inference_device()).requires_grad_(False).eval()
