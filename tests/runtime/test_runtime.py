"""An export is read with little, and only as it was written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evoked import runtime
from evoked.errors import DataError, EvokedError
from evoked.exporting import export_run
from evoked.features.packing import packed_type
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.runtime.folder import MANIFEST_FILE, digest_of_manifest
from evoked.runtime.sources import _type_of
from evoked.runtime.twins import twin_of
from tests.support import command_line
from tests.support.exports import altered, drafts_of, run_of
from tests.support.small_runs import Workshop

pytest.importorskip("onnxscript")

HEAVY = (
    "catboost", "lightning", "pandas", "pyarrow", "pydantic", "rich", "safetensors", "scipy",
    "sklearn", "statsmodels", "torch", "transformers", "typer",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(workshop: Workshop, dataset: PostDataset) -> Run:
    return run_of(workshop, dataset, "chosen")


@pytest.fixture(scope="module")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(run, tmp_path_factory.mktemp("exports") / "export")


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(exported, tmp_path / "export")


def test_it_imports_nothing_heavy(exported: Path, dataset: PostDataset, tmp_path: Path) -> None:
    (tmp_path / "drafts.json").write_text(json.dumps(drafts_of(dataset)[:7]))
    program = (
        "import json, sys\n"
        "from evoked.runtime.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        f"print(json.dumps(sorted(set({HEAVY!r}) & sys.modules.keys())), file=sys.stderr)\n"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(exported), str(tmp_path / "drafts.json")],
        capture_output=True,
        text=True,
        check=True,
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []
    answers = json.loads(done.stdout)
    assert len(answers) == 7
    assert answers[0]["answer"].startswith("About ")


def test_every_altered_file_is_refused(folder: Path, dataset: PostDataset) -> None:
    rows = drafts_of(dataset)[:1]
    names = [path.name for path in folder.iterdir() if path.name != "README.md"]
    assert {"manifest.json", "weights.bin", "head.onnx", "history.json"} <= set(names)
    for name in names:
        content = (folder / name).read_bytes()
        altered(folder / name)
        with pytest.raises(DataError, match=f"{name}.*(not as it was exported|JSON|not UTF-8)"):
            runtime.load(folder).score(rows)
        (folder / name).write_bytes(content)
    assert runtime.load(folder).score(rows)[0]["error"] is None


def test_a_missing_file_is_named(folder: Path, dataset: PostDataset) -> None:
    (folder / "head.onnx").unlink()
    with pytest.raises(DataError, match=r"head\.onnx: the export lacks this file\. Export"):
        runtime.load(folder).score(drafts_of(dataset)[:1])
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"no manifest\.json, so no exported run"):
        runtime.load(folder)


def test_a_manifest_of_another_shape_is_refused(folder: Path) -> None:
    from evoked.runtime.folder import digest_of_manifest

    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["head"]["inputs"] = "all"
    manifest["sha256"] = digest_of_manifest(manifest)
    file.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="field inputs: not what an export"):
        runtime.load(folder)
    file.write_text(json.dumps({**manifest, "format_version": 99}))
    with pytest.raises(DataError, match="99"):
        runtime.load(folder)


def test_the_module_says_what_is_wrong(exported: Path, tmp_path: Path) -> None:
    from evoked.runtime.__main__ import main

    drafts = tmp_path / "drafts.json"
    drafts.write_text('[{"likes": 3}]')
    assert main([str(exported), str(drafts)]) == 1
    assert main([str(tmp_path), str(drafts)]) == 2
    assert main([]) == 2


def test_the_command_line_takes_the_export_of_the_run_as_it_is(
    run: Run, exported: Path, dataset: PostDataset, tmp_path: Path
) -> None:
    own = shutil.copytree(run.folder, tmp_path / "run")
    asked = ("--caption", "Golden hour", "--author", "new")
    asked = (*asked, "--posted-at", "2031-05-14T08:00", "--cache", str(tmp_path / "cache"))
    plain = command_line.evoked("predict", own, *asked)
    shutil.copytree(exported, own / "export")
    notes: list[str] = []
    assert twin_of(own, notes.append) is not None
    assert command_line.evoked("predict", own, *asked).stdout == plain.stdout
    altered(own / "export" / "head.onnx")
    refused = command_line.evoked("predict", own, *asked, fails=True)
    assert "not as it was exported" in refused.stderr.replace("\n", " ")
    # Another run's export is none of this one's, whatever is in it.
    (own / "history.json").write_text((own / "history.json").read_text() + "\n")
    assert twin_of(own, notes.append) is None
    assert "has changed since it was exported" in notes[0]
    assert command_line.evoked("predict", own, *asked).stdout == plain.stdout


def test_twins_import_no_torch(run: Run, exported: Path, tmp_path: Path) -> None:
    own = shutil.copytree(run.folder, tmp_path / "run")
    shutil.copytree(exported, own / "export")
    heavy = ("torch", "pandas", "scipy", "sklearn", "transformers")
    program = (
        "import sys\n"
        "from evoked.cli import main\n"
        f"sys.argv = ['evoked', 'predict', {str(own)!r}, '--caption', 'Hello', '--author', 'new']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set({heavy!r}) & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "likes" in done.stdout


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("record",), {}),
        (("drafts",), {}),
        (("sources",), [{}]),
        (("sources",), [1]),
        (("fitted",), {}),
        (("authors",), {}),
        (("head", "inputs"), []),
        (("task",), {"task": []}),
    ],
)
def test_a_manifest_with_a_digest_of_its_own_is_not_believed(
    keys: tuple[str, ...], value: object, folder: Path
) -> None:
    file = folder / MANIFEST_FILE
    manifest = json.loads(file.read_text())
    inner = manifest
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    manifest["sha256"] = digest_of_manifest(manifest)
    file.write_text(json.dumps(manifest))
    with pytest.raises(EvokedError):
        runtime.load(folder).score([{"caption": "Golden hour"}])


def test_no_file_of_an_export_is_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "history.json").rename(tmp_path / "history.json")
    (folder / "history.json").symlink_to(tmp_path / "history.json")
    with pytest.raises(DataError, match="a link"):
        runtime.load(folder).score([{"caption": "Golden hour"}])


def test_features_are_rounded_as_an_export_says() -> None:
    """Those of releases that packed nothing say nothing of it."""
    old = {"dtype": "float16", "gives": ["image.map"]}
    assert _type_of(old, "image.map", 192) == np.float16
    assert _type_of({**old, "packed": ["image.map"]}, "image.map", 192) == packed_type(192)
    assert _type_of({"packed": ["caption.tokens"]}, "caption.vector", 384) == np.float16
