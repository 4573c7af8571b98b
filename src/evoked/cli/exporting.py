"""Exporting a run (export)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evoked.cli.application import app, say, say_aside
from evoked.cli.options import CacheOption, DownloadFlag, load_any_run, open_dataset, refuse
from evoked.errors import SettingsError
from evoked.runtime.folder import Format


@app.command(
    epilog="Examples: [dim]evoked export my_run my_run/export[/]  ·  "
    "[dim]evoked export my_run elsewhere --format openvino[/]  ·  "
    "[dim]evoked export my_run small --int8 --data my_posts[/]"
)
def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of posts.")],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="New folder. In RUN/export, 'evoked predict RUN' takes it for a draft, as long as "
            "the run stays as it is.",
        ),
    ],
    format: Annotated[
        Format, typer.Option(help="For ONNX Runtime, or OpenVINO's own files.")
    ] = "onnx",
    integers: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Encoders in 8-bit integers, refused where they would see something else.",
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Posts by whose pictures and captions --int8 is judged."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder of photographs for that, in place of the posts' own."),
    ] = None,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Write a run as a folder that predicts without torch: 'python -m evoked.runtime'."""
    if not integers:
        refuse({"data": data, "pictures": pictures}, "goes with --int8")
    elif data is None:
        raise SettingsError("--int8 is judged by posts: name a dataset with --data.")
    dataset = None if data is None else open_dataset(data)
    photographs = [] if pictures is None else _files_in(pictures)
    run = load_any_run(run_folder, cache, allow_download)

    from evoked.exporting import export_run
    from evoked.runs.base import Callbacks
    from evoked.runs.posts import Run

    if not isinstance(run, Run):
        raise SettingsError(
            f"a run of viewings can't be exported: {run.model.name} looks at a graph of users and "
            "images, which is no draft."
        )
    covers = [] if dataset is None else [path for path in dataset.cover_paths() if path is not None]
    captions = [] if dataset is None else dataset.posts["caption"].dropna().tolist()
    export_run(
        run,
        out,
        format=format,
        integers=integers,
        pictures=photographs or covers,
        captions=captions,
        callbacks=Callbacks(note=say_aside),
    )
    size = sum(path.stat().st_size for path in out.iterdir())
    say(f"The export is in {out} ({size / 1e6:.0f} MB): python -m evoked.runtime {out} DRAFTS.json")


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SettingsError(f"--pictures: {folder} is no folder.")
    return sorted(path for path in folder.rglob("*") if path.is_file())
