"""The command line: parse, call, print."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from evoked.errors import EvokedError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.dataset import PostDataset
    from evoked.run import Evaluation, Run

app = typer.Typer(
    name="evoked",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Predicts what a social-media post evokes: the emotion people feel and the engagement "
    "that follows.",
    epilog="First steps: [bold]evoked demo my_demo[/bold]",
)
affect = typer.Typer(
    no_args_is_help=True, help="The emotion reader: valence and arousal of posts that nobody rated."
)
app.add_typer(affect, name="affect")

# Results go to standard output; progress and notes don't, so that '--json' can be piped.
out = Console()
notes = Console(stderr=True)

# Examples of what an import skipped or put right; --json tells all that are kept.
_EXAMPLES = 10

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of computed features.", show_default=False)
]


class ImportFormat(StrEnum):
    """Names of the readers."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    instaloader = "instaloader"
    instagram_export = "instagram-export"
    iaed = "iaed"
    label_studio = "label-studio"


class SplitKind(StrEnum):
    """Ways to hold posts out."""

    random = "random"
    author = "author"
    time = "time"
    column = "column"


def main() -> None:
    """Run the command line; errors made for people are printed without a traceback."""
    try:
        app()
    except EvokedError as error:
        notes.print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


@app.command(
    "import",
    epilog="Examples: [dim]evoked import instaloader downloads/ my_posts[/]  ·  "
    "[dim]evoked import csv insights.csv my_posts --map likes='Like count'[/]  ·  "
    "[dim]evoked import csv emobank.csv emobank --scale valence=1:5 --scale arousal=1:5[/]",
)
def import_command(
    format_: Annotated[ImportFormat, typer.Argument(metavar="FORMAT", help="What SOURCE is.")],
    source: Annotated[Path, typer.Argument(help="File or folder to read.")],
    dest: Annotated[Path, typer.Argument(help="Folder of the new dataset.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="FIELD=COLUMN, where the guess is wrong; repeatable."),
    ] = None,
    scales: Annotated[
        list[str] | None,
        typer.Option("--scale", help="DIMENSION=LOW:HIGH of ratings; repeatable."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a dataset made from elsewhere.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read posts from a file or folder into a dataset."""
    from evoked.posts.importing import import_posts, reasons, summary_rows

    with _bar("Reading") as report:
        result = import_posts(
            format_.value,
            source,
            dest,
            mapping=dict(_pair(item, "--map") for item in mapping or []),
            scales=dict(_scale(item) for item in scales or []),
            overwrite=overwrite,
            progress=report,
        )
    if as_json:
        _print_json(result.as_dict())
        return
    if result.mapping:
        _print_table(
            "Columns", ["field", "column"], [[k, str(v)] for k, v in result.mapping.items()]
        )
    _print_table(
        f"Imported to {dest}",
        ["what", "how many", "of what, or why"],
        [[what, str(count), why] for what, count, why in summary_rows(result)],
    )
    shown = list(islice(reasons(result), _EXAMPLES))
    for line in [*shown, *result.notes]:
        out.print(escape(line), highlight=False, soft_wrap=True)
    if result.already_there:
        out.print("This very source was imported there before; nothing was done.", soft_wrap=True)


@app.command(epilog="Example: [dim]evoked synth my_posts --n 2000 --seed 1[/]")
def synth(
    dest: Annotated[Path, typer.Argument(help="Folder of the new dataset.")],
    n: Annotated[int, typer.Option(min=1, help="How many posts.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed, same posts.")] = 0,
) -> None:
    """Make posts whose truth is known, after the published statistics."""
    from evoked.posts.synthetic import synthesise

    with _bar("Drawing") as report:
        dataset = synthesise(dest, n=n, seed=seed, progress=report)
    out.print(f"{len(dataset)} posts in {dest}")


@app.command(
    epilog="Examples: [dim]evoked train my_posts --out my_run[/]  ·  "
    "[dim]evoked train my_posts --out my_run --split author --set width=256 --epochs 60[/]"
)
def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset to learn from.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    model: Annotated[str, typer.Option(help="See 'evoked models'.")] = "abmf",
    split: Annotated[
        SplitKind | None, typer.Option(help="How to hold posts out; chosen if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and the batches.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs at most.")] = 40,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without gain.")] = 10,
    batch_size: Annotated[int, typer.Option(min=2)] = 32,
    learning_rate: Annotated[float, typer.Option(min=0)] = 2e-3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    image_encoder: Annotated[
        str, typer.Option(help="builtin, timm:…, torchvision:… or transformers:…")
    ] = "builtin",
    text_encoder: Annotated[str, typer.Option(help="builtin or transformers:…")] = "builtin",
    object_encoder: Annotated[str, typer.Option(help="builtin or torchvision:…")] = "builtin",
    views: Annotated[int, typer.Option(min=1, help="Augmented views per picture.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of a model's setting; repeatable."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option(help="Estimate valence and arousal of posts that nobody rated.")
    ] = True,
    cache: CacheOption = None,
) -> None:
    """Train a model; start the same command again to resume it."""
    import evoked.run
    from evoked.features.cache import FeatureCache
    from evoked.features.catalog import FeatureSettings
    from evoked.posts.dataset import PostDataset
    from evoked.training.loop import TrainingSettings

    training = _validated(
        TrainingSettings,
        max_epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        device=device,
        seed=seed,
    )
    features = _validated(
        FeatureSettings,
        image_encoder=image_encoder,
        text_encoder=text_encoder,
        object_encoder=object_encoder,
        views=views,
    )
    model_settings = dict(_setting(item) for item in settings or [])
    with _run_progress(epochs) as progress:
        run = evoked.run.train(
            PostDataset(dataset),
            model,
            out_folder,
            model_settings=model_settings,
            features=features,
            training=training,
            split=None if split is None else split.value,
            estimate=estimate,
            cache=FeatureCache(cache),
            progress=progress,
        )
    _print_scores(run.metrics["scores"], f"Test posts: {run.metrics['posts']}")
    out.print(f"The run is in {out_folder}; 'evoked report {out_folder}' tells its story.")


@app.command(epilog="Example: [dim]evoked evaluate my_run other_posts --json[/]")
def evaluate(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    dataset: Annotated[Path, typer.Argument(help="Posts; those it learned from are left out.")],
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Score a run on posts, beside the trivial baselines."""
    from evoked.posts.dataset import PostDataset

    run = _load_run(run_folder, cache)
    with _run_progress() as progress:
        evaluation: Evaluation = run.evaluate(PostDataset(dataset), progress)
    if as_json:
        _print_json(evaluation.to_dict())
        return
    out.print(f"Split: {evaluation.split}", soft_wrap=True)
    if evaluation.excluded:
        out.print(f"{evaluation.excluded} posts left out: the run has learned from them.")
    _print_scores(
        evaluation.to_dict()["scores"], f"{len(evaluation.predictions)} posts of {dataset}"
    )


@app.command(
    epilog="Examples: [dim]evoked predict my_run --image draft.jpg --caption 'Golden hour'[/]  ·  "
    "[dim]evoked predict my_run --posts new_posts --out scores.csv[/]"
)
def predict(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    image: Annotated[Path | None, typer.Option(help="Picture of a draft.")] = None,
    caption: Annotated[str | None, typer.Option(help="Caption of a draft.")] = None,
    author: Annotated[str | None, typer.Option(help="Author id, if a known one.")] = None,
    category: Annotated[str | None, typer.Option(help="One of the training posts'.")] = None,
    followers: Annotated[int | None, typer.Option(min=0)] = None,
    posted_at: Annotated[
        datetime | None, typer.Option(help="When it is to appear, UTC; this hour if left out.")
    ] = None,
    posts: Annotated[Path | None, typer.Option(help="A dataset in place of a draft.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="File to write: .csv, .json or .parquet.")
    ] = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Predict what a draft, or every post of a dataset, evokes."""
    from evoked.posts.dataset import PostDataset

    if out_file is not None:
        _check_suffix(out_file)
    facts = (image, caption, author, category, followers, posted_at)
    subject: Any
    if posts is None:
        subject = [_draft(*facts)]
    elif any(fact is not None for fact in facts):
        raise SettingsError("--posts stands in place of a draft: leave the draft's options out.")
    else:
        subject = PostDataset(posts)
    run = _load_run(run_folder, cache)
    with _run_progress() as progress:
        table = run.predict(subject, progress)
    if out_file is not None:
        _write_predictions(table, out_file)
        notes.print(f"{len(table)} predictions in {out_file}")
    if as_json:
        _print_json(_records(table))
    elif out_file is None:
        _print_predictions(table, run)


@app.command(
    epilog="Example: [dim]evoked explain my_run --image draft.jpg --caption 'Golden hour' "
    "--out why[/]"
)
def explain(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    image: Annotated[Path | None, typer.Option(help="Picture of the draft.")] = None,
    caption: Annotated[str | None, typer.Option(help="Caption of the draft.")] = None,
    author: Annotated[str | None, typer.Option(help="Author id, if a known one.")] = None,
    category: Annotated[str | None, typer.Option(help="One of the training posts'.")] = None,
    followers: Annotated[int | None, typer.Option(min=0)] = None,
    posted_at: Annotated[datetime | None, typer.Option(help="UTC; this hour if left out.")] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the pictures.")
    ] = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Show what a prediction rests on: regions, words, both, and each modality's share."""
    from evoked.explain import explain as explain_draft
    from evoked.explain import print_explanation

    draft = _draft(image, caption, author, category, followers, posted_at)
    explanation = explain_draft(_load_run(run_folder, cache), draft)
    if out_folder is not None:
        for path in explanation.draw(out_folder):
            notes.print(f"Drawn: {path}")
    if as_json:
        _print_json(explanation.to_dict())
    else:
        print_explanation(explanation, out)


@app.command(epilog="Example: [dim]evoked report my_run --data my_posts[/]")
def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    data: Annotated[
        Path | None, typer.Option(help="The run's dataset, for pictures and explanations.")
    ] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="HTML file; RUN/report.html by default.")
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Write one HTML file that tells how good a run is, and where."""
    from evoked.posts.dataset import PostDataset
    from evoked.report import write_report

    dataset: PostDataset | None = None if data is None else PostDataset(data)
    path = write_report(
        _load_run(run_folder, cache), dataset, out_file or run_folder / "report.html"
    )
    out.print(f"Report: {path}")


@app.command()
def models(as_json: JsonFlag = False) -> None:
    """List the models."""
    from evoked.models import MODELS

    rows = [
        {
            "name": model.name,
            "description": model.description,
            "source": model.source,
            "features": model().features,
            "settings": list(model.Settings.model_fields),
        }
        for model in MODELS.values()
    ]
    if as_json:
        _print_json(rows)
        return
    _print_table(
        "Models",
        ["name", "what it is", "source", "reads"],
        [
            [model.name, model.description, model.source, ", ".join(model().features) or "–"]
            for model in MODELS.values()
        ],
    )


@app.command()
def features(as_json: JsonFlag = False) -> None:
    """List the features that models can read."""
    from evoked.features.catalog import CATALOG

    entries = list(CATALOG.values())
    if as_json:
        _print_json([vars(entry) for entry in entries])
        return
    _print_table(
        "Features",
        ["name", "kind", "computed by", "what it holds"],
        [[entry.name, entry.kind, entry.source, entry.description] for entry in entries],
    )


@app.command()
def demo(
    dest: Annotated[Path, typer.Argument(help="Folder for everything it makes.")],
    n: Annotated[int, typer.Option(min=50, help="How many posts.")] = 1000,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
) -> None:
    """Make posts, train ABMF on them, score and explain a draft, write the report."""
    import evoked.run
    from evoked.explain import explain as explain_draft
    from evoked.explain import print_explanation
    from evoked.features.cache import FeatureCache
    from evoked.posts.drafts import Draft
    from evoked.posts.synthetic import synthesise
    from evoked.report import write_report
    from evoked.training.loop import TrainingSettings

    with _bar("Drawing") as progress:
        dataset = synthesise(dest / "posts", n=n, seed=0, progress=progress)
    cache = FeatureCache(dest / "cache")
    with _run_progress(epochs) as told:
        run = evoked.run.train(
            dataset,
            "abmf",
            dest / "run",
            training=TrainingSettings(max_epochs=epochs),
            cache=cache,
            progress=told,
        )
    _print_scores(run.metrics["scores"], f"Test posts: {run.metrics['posts']}")
    # Any post that the run has not learned from will do as a draft, if it has all its parts.
    whole = (run.parts["part"] == "test") & dataset.posts["caption"].fillna("").ne("")
    whole &= dataset.posts["images"].str.len() > 0
    shown = int(whole.to_numpy().argmax())
    post = dataset.posts.iloc[shown]
    picture = dest / "draft.jpg"
    shutil.copyfile(dataset.image_folder / post["images"][0], picture)
    draft = Draft(
        image=picture,
        caption=post["caption"],
        hashtags=post["hashtags"],
        posted_at=post["posted_at"].to_pydatetime(),
        category=post["category"],
        followers=int(post["followers"]),
    )
    explanation = explain_draft(run, draft)
    explanation.draw(dest / "explanation")
    print_explanation(explanation, out)
    path = write_report(run, dataset, dest / "report.html")
    out.print(f"\nReport: {path}\nPictures of the explanation: {dest / 'explanation'}")


@affect.command("fit", epilog="Example: [dim]evoked affect fit emobank --out my_reader[/]")
def affect_fit(
    dataset: Annotated[Path, typer.Argument(help="Posts with ratings.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the reader.")],
    split: Annotated[str, typer.Option(help="Part to learn from, if the posts have parts.")] = (
        "train"
    ),
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train an emotion reader on rated texts, or rated pictures, or both."""
    from evoked.affect import fit_reader
    from evoked.posts.dataset import PostDataset

    fit_reader(PostDataset(dataset), out_folder, split=split, seed=seed)
    out.print(f"The reader is in {out_folder}")


@affect.command(
    "evaluate", epilog="Example: [dim]evoked affect evaluate emobank --split test --json[/]"
)
def affect_evaluate(
    dataset: Annotated[Path, typer.Argument(help="Posts with ratings.")],
    split: Annotated[
        str | None, typer.Option(help="Part to score, if the posts have parts; all by default.")
    ] = None,
    reader: Annotated[
        Path | None, typer.Option(help="Folder of a fitted reader; ours by default.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score an emotion reader: Pearson r, CCC, MAE and n per dimension."""
    from evoked.affect import evaluate_reader
    from evoked.posts.dataset import PostDataset

    scores = evaluate_reader(PostDataset(dataset), split=split, reader=reader)
    if as_json:
        _print_json(scores)
        return
    rows = [
        [
            part,
            dimension,
            *(f"{entry[name]:.3f}" for name in ("pearson", "ccc", "mae")),
            str(entry["n"]),
        ]
        for part, dimensions in scores.items()
        for dimension, entry in dimensions.items()
    ]
    _print_table("Emotion reader", ["read from", "dimension", "r", "CCC", "MAE", "n"], rows)


def _load_run(folder: Path, cache: Path | None) -> Run:
    from evoked.features.cache import FeatureCache
    from evoked.run import Run

    return Run.load(folder, FeatureCache(cache))


def _draft(
    image: Path | None,
    caption: str | None,
    author: str | None,
    category: str | None,
    followers: int | None,
    posted_at: datetime | None,
) -> Any:
    from evoked.posts.drafts import Draft

    if image is None and caption is None:
        raise SettingsError("a draft needs --image or --caption (or give --posts).")
    if image is not None and not image.is_file():
        raise SettingsError(f"there is no picture {image}.")
    return Draft(
        image=image,
        caption=caption,
        author=author,
        category=category,
        followers=followers,
        posted_at=posted_at,
    )


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise SettingsError(f"{option} takes NAME=VALUE, not {text!r}.")
    return name.strip(), value


def _setting(text: str) -> tuple[str, Any]:
    name, value = _pair(text, "--set")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {name}: {value!r} is not a value.") from error


def _scale(text: str) -> tuple[str, tuple[float, float]]:
    name, value = _pair(text, "--scale")
    try:
        low, high = (float(end) for end in value.split(":"))
    except ValueError as error:
        raise SettingsError(f"--scale takes DIMENSION=LOW:HIGH, not {text!r}.") from error
    return name, (low, high)


def _validated(kind: Any, **values: Any) -> Any:
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + str(first["loc"][0]).replace("_", "-")
        raise SettingsError(f"{name}: {first['msg']}.") from error


@contextmanager
def _bar(label: str) -> Iterator[Any]:
    """A progress bar; yields a function of (done, total), total 0 or None while unknown."""
    with _progress() as progress:
        task = progress.add_task(label, total=None)

        def report(done: int, total: int | None = None) -> None:
            progress.update(task, completed=done, total=total or None)

        yield report


@contextmanager
def _run_progress(epochs: int = 1) -> Iterator[Any]:
    """Bars for the stages and the epochs of a run."""
    from evoked.run import Progress as RunProgress

    with _progress() as progress:
        tasks: dict[str, Any] = {}

        def stage(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done, total=total)

        def epoch(record: dict[str, float]) -> None:
            stage("Training", int(record["epoch"]), epochs)
            progress.update(
                tasks["Training"],
                description=f"Training (loss {record['train_loss']:.3f}, "
                f"held out {record['validation_loss']:.3f})",
            )

        yield RunProgress(
            stage, epoch, lambda text: notes.print(escape(text), highlight=False, soft_wrap=True)
        )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
    )


def _print_json(value: Any) -> None:
    """JSON without NaN and infinity, which no other program reads."""
    print(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path | datetime):
        return str(value)
    return value


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".json": lambda table, path: path.write_text(
        json.dumps(_plain(_records(table)), ensure_ascii=False, indent=2), encoding="utf-8"
    ),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}


def _check_suffix(path: Path) -> None:
    if path.suffix not in _WRITERS:
        raise SettingsError(f"--out: a file ending in {', '.join(_WRITERS)}, not {path.name!r}.")


def _write_predictions(table: pd.DataFrame, path: Path) -> None:
    from evoked.files import atomic_path

    with atomic_path(path) as temporary:
        _WRITERS[path.suffix](table, temporary)


def _print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    whole: Sequence[int] = (0,),
) -> None:
    """A table; the columns at ``whole`` are never broken over lines."""
    table = Table(
        title=escape(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=position in whole)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)


def _print_scores(scores: list[dict[str, Any]], title: str) -> None:
    """Rows are scores, columns are models: the first with its interval, then the baselines."""
    names = list(dict.fromkeys(row["model"] for row in scores))
    cells: dict[tuple[str, str, int], dict[str, str]] = {}
    for row in scores:
        key = (row["target"], row["metric"], row["n"])
        with_interval = row["model"] == names[0]
        cells.setdefault(key, {})[row["model"]] = _score_text(row, with_interval)
    headings = [f"{name} (95 %)" for name in names[:1]] + names[1:]
    _print_table(
        title,
        ["target", "metric", "n", *(heading.replace("_", "\n") for heading in headings)],
        [
            [target, metric, str(n), *(entry.get(name, "–") for name in names)]
            for (target, metric, n), entry in cells.items()
        ],
        whole=range(2, 3 + len(names)),
    )


def _score_text(row: dict[str, Any], with_interval: bool) -> str:
    if row["value"] is None:
        return "–"
    if row["low"] is None or not with_interval:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['low']:.2f}…{row['high']:.2f})"


def _print_predictions(table: pd.DataFrame, run: Run) -> None:
    learned = " (valence and arousal learned from estimates)" if run.estimated else ""
    rows = table.head(50)
    if len(table) == 1:
        _print_table(
            "Prediction" + learned,
            ["what", "predicted"],
            [[str(name), _cell(value)] for name, value in rows.iloc[0].items()],
        )
        uncounted = [name for name in rows if f"{name}_rate" in rows and rows[name].isna().all()]
        if uncounted and run.targets.denominator == "followers":
            out.print("Counts need the number of followers: --followers.", highlight=False)
        return
    shown = _shown_columns(table)
    _print_table(
        f"{len(table)} predictions" + (", the first 50" if len(table) > 50 else "") + learned,
        [name.replace("_", "\n") for name in shown],
        [[_cell(row[name]) for name in shown] for _, row in rows.iterrows()],
        whole=range(len(shown) - ("problem" in shown)),
    )


def _shown_columns(table: pd.DataFrame) -> list[str]:
    """What a row has room for: of each engagement the count, or the rate if no count is known."""
    shown = [name for name in table.columns if not name.endswith(("_quantile", "_rate"))]
    named = [
        f"{name}_rate" if f"{name}_rate" in table and table[name].isna().all() else name
        for name in shown
    ]
    return [name for name in named if name != "problem" or table[name].notna().any()]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)


if __name__ == "__main__":
    main()
