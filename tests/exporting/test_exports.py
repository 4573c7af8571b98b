"""An exported run says what its run says, or there is none, and a sentence why."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evoked import runtime
from evoked.errors import SettingsError
from evoked.exporting import export_run
from evoked.exporting.heads import exported_head
from evoked.exporting.integers import as_integers
from evoked.features.encoders._graph import Graph
from evoked.features.encoders._minilm import minilm_folder
from evoked.models import build_model
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from tests.support import command_line
from tests.support.exports import NETWORKS, POOLED, check_equal, drafts_of, run_of
from tests.support.small_runs import Workshop

# What single precision leaves of a count, which is an exponential.
_SINGLE = 1e-4
QUICK = ("classes", "chosen")

pytest.importorskip("onnxscript")

MakeRun = Callable[[str], Run]


@pytest.fixture(scope="module")
def make_run(workshop: Workshop, dataset: PostDataset) -> MakeRun:
    made: dict[str, Run] = {}

    def make(name: str) -> Run:
        if name not in made:
            made[name] = run_of(workshop, dataset, name)
        return made[name]

    return make


@pytest.mark.parametrize(
    "name",
    # A blend has lines and trees as members.
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in POOLED],
)
def test_lines_and_trees(
    make_run: MakeRun, dataset: PostDataset, tmp_path: Path, name: str
) -> None:
    run = make_run(name)
    export = runtime.load(export_run(run, tmp_path / "export"))
    rows = drafts_of(dataset)
    for batch in (1, 2, 7, len(rows)):
        check_equal(run, export, rows[:batch], _SINGLE)
    check_equal(run, runtime.load(export.folder.path, once=True), rows[:1], _SINGLE)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(make_run: MakeRun, dataset: PostDataset, tmp_path: Path, name: str) -> None:
    run = make_run(name)
    export = runtime.load(export_run(run, tmp_path / "export"))
    rows = drafts_of(dataset)
    for batch in (1, 2, 7, len(rows)):
        check_equal(run, export, rows[:batch], _SINGLE)
    assert len({row["answer"] for row in export.score(rows)}) > 3


@pytest.mark.parametrize("name", ["chosen"])
def test_openvino(make_run: MakeRun, dataset: PostDataset, tmp_path: Path, name: str) -> None:
    pytest.importorskip("openvino")
    run = make_run(name)
    export = runtime.load(export_run(run, tmp_path / "export", format="openvino"))
    assert not list(export.folder.path.glob("*.onnx"))
    check_equal(run, export, drafts_of(dataset), _SINGLE)


def test_an_interval_is_as_wide_as_it_is_asked_for(
    make_run: MakeRun, dataset: PostDataset, tmp_path: Path
) -> None:
    run = make_run("line")
    export = runtime.load(export_run(run, tmp_path / "export"))
    row = {"author": dataset.posts["author_id"].iloc[0], "posted_at": "2031-05-14T08:00"}
    narrow, wide = (export.score([row], coverage)[0] for coverage in (0.5, 0.8))
    assert wide["likes_high"] - wide["likes_low"] > narrow["likes_high"] - narrow["likes_low"]
    with pytest.raises(SettingsError, match="between 0 and 1"):
        export.score([row], 1.0)


def test_nothing_in_the_folder_is_code_or_pickled(make_run: MakeRun, tmp_path: Path) -> None:
    folder = export_run(make_run("trees"), tmp_path / "export")
    endings = {path.suffix for path in folder.iterdir()}
    assert endings == {".md", ".json", ".onnx", ".bin", ".safetensors"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json"}


def test_what_holds_something_else_is_left_alone(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("line")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SettingsError, match="holds something else"):
        export_run(run, tmp_path)
    with pytest.raises(SettingsError, match="no format is called 'tflite'"):
        export_run(run, tmp_path / "new", format="tflite")  # type: ignore[arg-type]
    again = export_run(run, export_run(run, tmp_path / "export"))
    assert runtime.load(again).score([{"author": "new"}])[0]["error"] is None


@pytest.mark.parametrize(
    ("model", "settings", "why"),
    [
        ("abmf", {"finetune": True}, r"trained its encoders along \(image.pixels, caption.ids\)"),
        ("category_mean", {}, "knows posts by their authors' hashes alone"),
        ("pixelrec_catboost", {}, "neither a network nor made of lines and trees"),
        ("hmg_emo", {}, "graph of users and images"),
        ("stack", {}, "nobody has written it as a graph"),
    ],
)
def test_a_model_that_cannot_be_exported_says_why(
    model: str, settings: dict[str, bool], why: str
) -> None:
    with pytest.raises(SettingsError, match=f"the model '{model}' can't be exported: .*{why}"):
        exported_head(build_model(model, settings))


def test_the_command_needs_the_extra(make_run: MakeRun, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['onnxscript'] = None\n"
        f"sys.argv = ['evoked', 'export', {str(make_run('line').folder)!r}, 'new']\n"
        "from evoked.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"COLUMNS": "200", "OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 2
    assert "pip install 'evoked[export]'" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "new").exists()


def test_the_command(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("line").folder
    done = command_line.evoked("export", folder, tmp_path / "new")
    assert f"The export is in {tmp_path / 'new'}" in done.stdout.replace("\n", "")
    refused = command_line.evoked("export", folder, tmp_path / "other", "--int8", fails=True)
    assert "name a dataset with --data" in refused.stderr.replace("\n", " ")


# A network of texts that is small enough to look through: words, and one layer.
_WORDS, _CHANNELS = 30_522, 64
_SOURCE = {
    "kind": "text",
    "graph": "text",
    "tokenizer": "tokenizer.json",
    "max_tokens": 16,
    "padding": 0,
    "steps": ["lower"],
}
_CAPTIONS = [
    f"{colour} {thing} at the {place}"
    for colour in ("red", "blue", "green")
    for thing in ("boat", "house", "dog")
    for place in ("sea", "market", "old station")
]


def network_of_texts(outlier: float) -> bytes:
    """A graph whose layer has a weight of this size among others of about one in each column, on a
    channel in which words hardly differ."""
    random = np.random.default_rng(0)
    words = random.normal(size=(_WORDS, _CHANNELS)).astype(np.float32)
    layer = random.normal(size=(_CHANNELS, _CHANNELS)).astype(np.float32)
    words[:, 0] = 1e-6
    layer[0] = outlier
    graph = Graph(
        {"ids": np.zeros((1, 1), np.int64), "is token": np.ones((1, 1), np.bool_)},
        {"words": words, "layer": layer, "axis": np.array([2], np.int64)},
    )
    real = graph.add("Unsqueeze", graph.add("Cast", "is token", to=1), "axis")
    read = graph.add("Mul", graph.add("Gather", "words", "ids"), real)
    graph.add("MatMul", read, "layer", result="states")
    return graph.exported(["states"])


def test_integers_take_the_place_of_what_sees_the_same() -> None:
    tokenizers = {"tokenizer.json": (minilm_folder() / "tokenizer.json").read_text()}
    graphs = {"text": network_of_texts(outlier=1.0)}
    whole = graphs["text"]
    (note,) = as_integers(graphs, [_SOURCE], [], _CAPTIONS, tokenizers)
    assert len(graphs["text"]) < 0.4 * len(whole)
    assert "smallest centred cosine 0.999" in note


def test_integers_are_refused_where_they_see_something_else() -> None:
    tokenizers = {"tokenizer.json": (minilm_folder() / "tokenizer.json").read_text()}
    graphs = {"text": network_of_texts(outlier=1e4)}
    whole = graphs["text"]
    with pytest.raises(SettingsError, match=r"cosine on 27 examples is -?0\.[0-8]"):
        as_integers(graphs, [_SOURCE], [], _CAPTIONS, tokenizers)
    assert graphs["text"] == whole
    with pytest.raises(SettingsError, match="3 captions, where 8 are needed"):
        as_integers(graphs, [_SOURCE], [], _CAPTIONS[:3], tokenizers)
