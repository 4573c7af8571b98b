"""Writing the folder of an exported run, which :mod:`evoked.runtime` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import evoked
from evoked.errors import MissingExtraError, SettingsError
from evoked.exporting.checks import check_head
from evoked.exporting.encoders import EncoderExport, encoder_sources
from evoked.exporting.heads import PREDICTED, Head, cannot, exported_head
from evoked.exporting.integers import Pictures, as_integers
from evoked.exporting.weights import write_graphs
from evoked.features.catalog import CATALOG
from evoked.files import atomic_folder, plain, read_bounded, write_json, write_safetensors
from evoked.runs.answer import quantities
from evoked.runs.base import Callbacks
from evoked.runs.notes import unseen_note
from evoked.runs.posts import HISTORY_FILE, PROFILES_FILE, Run
from evoked.runtime.digests import run_digest
from evoked.runtime.folder import (
    ARRAYS_FILE,
    FORMAT_VERSION,
    MANIFEST_FILE,
    ExportFolder,
    Format,
    digest_of_manifest,
)
from evoked.runtime.graphs import load_graph
from evoked.targets import task_state

CARD_FILE = "README.md"
FORMATS: tuple[Format, ...] = ("onnx", "openvino")

# What reads an export, by the names of their packages.
_ALWAYS_REQUIRED = ("emoji", "numpy", "pillow", "tokenizers")
_RUNNERS = {"onnx": "onnxruntime", "openvino": "openvino"}


@dataclass
class _Export:
    """An export in the making.

    Attributes
    ----------
    graphs
        ONNX files by name.
    arrays
        What is too large for the manifest.
    texts
        Files of text by name, such as tokenizers.
    requires
        Packages that reading the export takes.
    """

    graphs: dict[str, bytes] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    requires: set[str] = field(default_factory=set)


def export_run(
    run: Run,
    out: Path | str,
    *,
    format: Format = "onnx",
    integers: bool = False,
    pictures: Pictures = (),
    captions: Sequence[str] = (),
    callbacks: Callbacks | None = None,
) -> Path:
    """Write a run as a folder that predicts without torch: see :mod:`evoked.runtime`.

    Parameters
    ----------
    run
        A run of posts.
    out
        A new folder, or one that holds an earlier export, which is replaced.
    format
        ``onnx``, or ``openvino`` for OpenVINO's own files.
    integers
        Whether encoders compute in integers of 8 bits, where they still see the same: see
        :mod:`evoked.exporting.integers`.
    pictures, captions
        By which that is found out.
    callbacks
        Callbacks that report progress.

    Returns
    -------
    The folder.

    Raises
    ------
    SettingsError
        The run can't be exported, or not in integers; the message says why. Or ``out`` holds
        something else.
    MissingExtraError
        The extra ``export`` is not installed.
    """
    out = Path(out)
    _check_format(format)
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST_FILE).is_file():
        raise SettingsError(f"{out} holds something else. Choose another folder.")
    say = (callbacks or Callbacks()).note
    made = _Export()
    head = exported_head(run.model)
    if hasattr(run.model, "network"):
        check_head(run.model, head)
    sources = _sources(run, made)
    fitted = _fitted(run, made)
    if integers:
        for note in as_integers(made.graphs, sources, pictures, captions, made.texts):
            say(note)
    made.graphs["head"] = head.content
    manifest = {
        "format_version": FORMAT_VERSION,
        "format": format,
        "evoked": evoked.__version__,
        "run": {
            "name": run.folder.resolve().name,
            "model": run.model.name,
            "digest": run_digest(run.folder),
        },
        "requires": sorted({*_ALWAYS_REQUIRED, _RUNNERS[format], *made.requires}),
        "task": task_state(run.task),
        "intervals": run.intervals.to_dict(),
        "record": _record(run),
        "authors": {"number": run.authors.number, "hashes": sorted(run.authors.hashes)},
        "drafts": _about_drafts(run),
        "sources": sources,
        "fitted": fitted,
        "head": _about_head(run, head),
    }
    with atomic_folder(out) as folder:
        _write(run, made, folder, format)
        files = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
        }
        whole = plain({**manifest, "files": files})
        write_json(folder / MANIFEST_FILE, {**whole, "sha256": digest_of_manifest(whole)})
        if format == "openvino":
            graph = load_graph(ExportFolder.read(folder), "head")
            check_head(run.model, head, lambda inputs: graph(inputs)[PREDICTED])
    return out


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise SettingsError(f"no format is called {format!r}; there are {', '.join(FORMATS)}.")
    needed = ["onnx", "onnxruntime", "onnxscript"] + ["openvino"] * (format == "openvino")
    for library in needed:
        try:
            __import__(library)
        except ImportError as error:
            raise MissingExtraError(library, "export", "exporting a run") from error


def _sources(run: Run, made: _Export) -> list[dict[str, Any]]:
    """Where the features come from that the run reads and that are not learned from its posts."""
    exports: list[EncoderExport] = encoder_sources(run.model, run.pipeline)
    for each in exports:
        made.graphs |= each.graphs
        made.arrays |= each.arrays
        made.texts |= each.texts
        made.requires |= set(each.requires)
    return [each.source for each in exports]


def _fitted(run: Run, made: _Export) -> dict[str, Any]:
    """What the run's features learned from the training posts."""
    found: dict[str, Any] = {}
    writers: dict[str, Callable[[Run, Any, _Export], dict[str, Any]]] = {
        "metadata": _metadata,
        "hashtags": _hashtags,
        "topics": _topics,
        "environment": _environment,
    }
    for name, learned in run.pipeline.fitted.items():
        if name not in writers:
            raise cannot(run.model, f"it reads {name}, which no draft has")
        found[name] = writers[name](run, learned, made)
    return found


def _metadata(run: Run, learned: Any, made: _Export) -> dict[str, Any]:
    for fact in learned.facts:
        if fact.shared:
            raise cannot(
                run.model,
                f"the fact {fact.name!r} has more than {len(fact.classes)} classes, whose rarer "
                "ones pandas numbers",
            )
    state: dict[str, Any] = learned.to_dict()
    return state


def _hashtags(run: Run, learned: Any, made: _Export) -> dict[str, Any]:
    made.arrays["hashtags.vectors"] = learned.vectors
    if learned.stemmed:
        made.requires.add("nltk")
    return {"tags": list(learned.tags), "stemmed": learned.stemmed}


def _topics(run: Run, learned: Any, made: _Export) -> dict[str, Any]:
    made.arrays["topics.weights"] = learned.weights
    made.requires.add("nltk")  # whose stems the words of topics are
    return {"words": list(learned.words), "wanted": learned.wanted}


def _environment(run: Run, learned: Any, made: _Export) -> dict[str, Any]:
    made.arrays |= {"environment.members": learned.members, "environment.posts": learned.posts}
    for name, sums in learned.sums.items():
        made.arrays[f"environment.{name}.total"] = sums.total
        made.arrays[f"environment.{name}.count"] = sums.count
    return {"authors": list(learned.authors), "sums": list(learned.sums)}


def _record(run: Run) -> dict[str, Any]:
    """What the test posts showed, as far as answers say it."""
    record = run.track_record
    columns = {number.column for number in quantities(run.task)}
    errors = {name: record.error(name) for name in sorted(columns)}
    return {
        "intervals": list(record.intervals),
        "errors": {name: None if own is None else list(own) for name, own in errors.items()},
    }


def _about_drafts(run: Run) -> dict[str, Any]:
    """What is taken for granted about drafts."""
    data = run.description["data"]
    followers = data.get("with followers", 1)
    return {
        "description": {"data": {"authors": data["authors"], "with followers": followers}},
        "categories": run.training_categories,
        "time_zone": data.get("time_zone"),
        "facts": [fact.to_dict() for fact in run.known_facts],
        "learned_fields": run.learned_fields,
        "history_min_age_hours": run.pipeline.settings.history_min_age_hours,
        "estimated_emotions": run.estimated,
        "unrated_emotions": run.unrated_emotions,
        "whose": run.whose,
        "unseen": run.unseen,
        "unseen_note": unseen_note(run.model, run.unseen) if run.unseen else None,
        "modalities": {name: CATALOG[name].modality for name in run.model.features},
    }


def _about_head(run: Run, head: Head) -> dict[str, Any]:
    return {
        "features": list(run.model.features),
        "inputs": list(head.inputs),
        "known_targets": list(run.model.known_targets),
        "last_posts": head.last_posts,
        "levels": head.levels,
    }


def _write(run: Run, made: _Export, folder: Path, format: Format) -> None:
    """Write everything but the manifest."""
    if format == "openvino":
        for name, content in made.graphs.items():
            _write_openvino(folder / f"{name}.onnx", content)
    else:
        write_graphs(folder, made.graphs)
    kept = {name: np.ascontiguousarray(values) for name, values in made.arrays.items()}
    write_safetensors(folder / ARRAYS_FILE, kept or {"nothing": np.zeros(1, np.float32)})
    for name, text in made.texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in (HISTORY_FILE, PROFILES_FILE, CARD_FILE):
        (folder / name).write_bytes(read_bounded(run.folder / name))


def _write_openvino(path: Path, content: bytes) -> None:
    """Write OpenVINO's files in place of an ONNX file."""
    import openvino

    path.write_bytes(content)
    model = openvino.convert_model(path)
    openvino.save_model(model, path.with_suffix(".xml"), compress_to_fp16=False)
    path.unlink()
