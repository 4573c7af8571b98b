"""Commands from posts to a report: import, synth, train, evaluate, predict, explain, report."""

from __future__ import annotations

import shutil
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from evoked.cli.application import CacheOption, JsonFlag, affect, app, notes, out
from evoked.cli.automatic import check_auto, train_auto
from evoked.cli.drafts import (
    AuthorOption,
    AuthorPostsOption,
    CaptionOption,
    CategoryOption,
    FollowersOption,
    FollowingOption,
    HashtagsOption,
    PaidOption,
    PostedAtOption,
    TitleOption,
    draft_of,
)
from evoked.cli.options import load_any_run, pair, scale, setting, validated
from evoked.cli.printing import (
    check_suffix,
    print_coverage,
    print_json,
    print_predictions,
    print_scores,
    print_table,
    progress_bar,
    run_progress,
    write_table,
)
from evoked.cli.viewings import (
    CommentOption,
    GroupsOption,
    UserOption,
    check_only_posts,
    check_only_viewings,
    explain_viewing,
    image_of,
    viewing_of,
)
from evoked.errors import SettingsError
from evoked.features.catalog import FeatureSettings
from evoked.files import records
from evoked.training import TrainingSettings

if TYPE_CHECKING:
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Evaluation, Run
    from evoked.runs.viewings import NetworkRun

# Examples of what an import skipped or put right; --json tells all that are kept.
_EXAMPLES = 10
_TRAINING, _FEATURES = TrainingSettings(), FeatureSettings()


class ImportFormat(StrEnum):
    """Names of the readers."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    instaloader = "instaloader"
    instagram_export = "instagram-export"
    iaed = "iaed"
    label_studio = "label-studio"
    pixelrec = "pixelrec"
    edges = "edges"
    iesn = "iesn"


class SplitKind(StrEnum):
    """Ways to hold posts or viewings out."""

    random = "random"
    author = "author"
    time = "time"
    column = "column"
    user = "user"
    image = "image"


@app.command(
    "import",
    epilog="Examples: [dim]evoked import instaloader downloads/ my_posts[/]  ·  "
    "[dim]evoked import csv insights.csv my_posts --map likes='Like count'[/]  ·  "
    "[dim]evoked import csv emobank.csv emobank --scale valence=1:5 --scale arousal=1:5[/]  ·  "
    "[dim]evoked import edges likes.csv my_network --map user_id=fan[/]  ·  "
    "[dim]evoked import iesn iesn_files/ iesn --map viewings=emotions.txt --map viewings.user_id=2"
    "[/]",
)
def import_command(
    format_: Annotated[ImportFormat, typer.Argument(metavar="FORMAT", help="What SOURCE is.")],
    source: Annotated[Path, typer.Argument(help="File or folder to read.")],
    dest: Annotated[Path, typer.Argument(help="Folder of the new dataset.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="FIELD=COLUMN, where the guess is wrong; repeatable. Of networks also "
            "TABLE.FIELD=COLUMN and TABLE=FILE.",
        ),
    ] = None,
    scales: Annotated[
        list[str] | None,
        typer.Option("--scale", help="DIMENSION=LOW:HIGH of ratings; repeatable."),
    ] = None,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="Blur faces in the copied pictures.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace a dataset made from elsewhere.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read posts from a file or folder into a dataset."""
    from evoked.features.encoders.faces import find_faces_to_hide
    from evoked.posts.importing import import_posts, reasons, summary_rows

    with progress_bar("Reading") as report:
        result = import_posts(
            format_.value,
            source,
            dest,
            mapping=dict(pair(item, "--map") for item in mapping or []),
            scales=dict(scale(item) for item in scales or []),
            find_faces=find_faces_to_hide if blur_faces else None,
            overwrite=overwrite,
            progress=report,
        )
    if as_json:
        print_json(result.as_dict())
        return
    if result.mapping:
        print_table(
            "Columns", ["field", "column"], [[k, str(v)] for k, v in result.mapping.items()]
        )
    print_table(
        f"Imported to {dest}",
        ["what", "how many", "of what, or why"],
        [[what, str(count), why] for what, count, why in summary_rows(result)],
    )
    shown = list(islice(reasons(result), _EXAMPLES))
    more = sum(result.tally.skipped.values()) + sum(result.tally.changed.values()) - len(shown)
    if more:
        shown.append(f"… and {more} more; --json tells up to twenty of each kind.")
    for line in [*shown, *result.notes]:
        out.print(escape(line), highlight=False, soft_wrap=True)
    if result.already_there:
        out.print("This very source was imported there before; nothing was done.", soft_wrap=True)


@app.command(
    epilog="Examples: [dim]evoked synth my_posts --n 2000 --seed 1[/]  ·  "
    "[dim]evoked synth my_network --network --scale 0.1[/]"
)
def synth(
    dest: Annotated[Path, typer.Argument(help="Folder of the new dataset.")],
    n: Annotated[int, typer.Option(min=1, help="How many posts.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed, same posts.")] = 0,
    network: Annotated[
        bool, typer.Option("--network", help="Make a social network: who felt what at which image.")
    ] = False,
    scale: Annotated[
        float, typer.Option(min=0, help="Network: size as a share of HMG-Emo's, 108,899 users.")
    ] = 0.1,
    users: Annotated[
        int | None, typer.Option(min=1, help="Network: instead of the scale's.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Network: instead of the scale's.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=1, help="Network: most different pictures; images share them.")
    ] = 384,
    rewire: Annotated[
        bool, typer.Option("--rewire", help="Network: the copy whose edges join anybody.")
    ] = False,
) -> None:
    """Make posts, or a social network, whose truth is known, after the published statistics."""
    if network:
        from evoked.posts.synthetic.network import synthesise_network

        with progress_bar("Drawing") as report:
            dataset = synthesise_network(
                *(dest, scale, seed),
                users=users,
                images=images,
                pictures=pictures,
                rewired=rewire,
                progress=report,
            )
        out.print(f"{len(dataset)} images and {len(dataset.table('viewings'))} viewings in {dest}")
        return
    from evoked.posts.synthetic.posts import synthesise

    with progress_bar("Drawing") as report:
        dataset = synthesise(dest, n=n, seed=seed, progress=report)
    out.print(f"{len(dataset)} posts in {dest}")


@app.command(
    epilog="Examples: [dim]evoked train my_posts --out my_run[/]  ·  "
    "[dim]evoked train my_posts --out my_run --split author --set width=256 --epochs 60[/]  ·  "
    "[dim]evoked train my_posts --out my_run --model auto --task level --metric 'level macro F1' "
    "--stack[/]"
)
def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset to learn from.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    model: Annotated[
        str, typer.Option(help="See 'evoked models'; auto tries several and takes the best.")
    ] = "abmf",
    task: Annotated[
        str | None, typer.Option(help="What to predict; the model's first task if left out.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="auto: what decides, such as 'likes Spearman' or 'level macro F1'."),
    ] = None,
    short_list: Annotated[
        str | None, typer.Option("--models", help="auto: what to try, such as linear,abmf.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="auto: of the posts that are learned from; 5.")
    ] = None,
    stack: Annotated[
        bool, typer.Option("--stack", help="auto: stack the models, and take that if it is better.")
    ] = False,
    always_stack: Annotated[
        bool, typer.Option("--always-stack", help="auto: take the stack in any case.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="auto: processes; as many as cores by default.")
    ] = None,
    split: Annotated[
        SplitKind | None,
        typer.Option(help="How to hold posts out; chosen if left out. user, image: of viewings."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of the split, the weights and the batches.")
    ] = _TRAINING.seed,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs at most; the model's own by default.")
    ] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Epochs without gain.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help="The model's own by default.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="The model's own by default.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = _TRAINING.device,
    image_encoder: Annotated[
        str, typer.Option(help="builtin, timm:…, torchvision:… or transformers:…")
    ] = _FEATURES.image_encoder,
    text_encoder: Annotated[
        str, typer.Option(help="builtin or transformers:…")
    ] = _FEATURES.text_encoder,
    object_encoder: Annotated[
        str, typer.Option(help="builtin or torchvision:…")
    ] = _FEATURES.object_encoder,
    face_encoder: Annotated[
        str, typer.Option(help="builtin, or fer: what faces express.")
    ] = _FEATURES.face_encoder,
    views: Annotated[
        int, typer.Option(min=1, help="Augmented views per picture.")
    ] = _FEATURES.views,
    text_steps: Annotated[
        str, typer.Option(help="What is done to captions: some of these, or none.")
    ] = ",".join(_FEATURES.text_steps),
    hashtag_vectors: Annotated[
        Path | None,
        typer.Option(help="word2vec text file in place of vectors trained on the posts' tags."),
    ] = None,
    feature_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            help="NAME=VALUE of any other feature setting, such as max_tokens=64, topics=100; "
            "repeatable.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of a model's setting; repeatable."),
    ] = None,
    training_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--training",
            help="NAME=VALUE of any other training setting, such as optimizer=adamw, "
            "precision=fp16, accumulate=3, schedule=drop; repeatable.",
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option(help="Estimate valence and arousal of posts that nobody rated.")
    ] = True,
    cache: CacheOption = None,
) -> None:
    """Train a model; start the same command again to resume it."""
    from evoked.features.cache import FeatureCache
    from evoked.laboratory.automatic import train as train_any
    from evoked.models import model_class
    from evoked.posts.dataset import PostDataset

    usual = TrainingSettings() if model == "auto" else model_class(model).default_training
    named = {
        "max_epochs": epochs,
        "patience": patience,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "device": device,
        "seed": seed,
    }
    asked = {name: value for name, value in named.items() if value is not None}
    further = dict(setting(item, "--training") for item in training_settings or [])
    training = validated(TrainingSettings, **{**usual.model_dump(), **asked, **further})
    steps = [] if text_steps == "none" else [name.strip() for name in text_steps.split(",")]
    encoders = {
        "image_encoder": image_encoder,
        "text_encoder": text_encoder,
        "object_encoder": object_encoder,
        "face_encoder": face_encoder,
        "views": views,
        "text_steps": steps,
        "hashtag_vectors": None if hashtag_vectors is None else str(hashtag_vectors),
    }
    other_features = dict(setting(item, "--features") for item in feature_settings or [])
    features = validated(FeatureSettings, **{**encoders, **other_features})
    model_settings = dict(setting(item) for item in settings or [])
    check_auto(
        model,
        model_settings,
        metric=metric,
        models=short_list,
        folds=folds,
        workers=workers,
        stack=stack,
        always_stack=always_stack,
    )
    shared: dict[str, Any] = {
        "task": task,
        "features": features,
        "training": training,
        "split": None if split is None else split.value,
        "cache": FeatureCache(cache),
    }
    of_viewings = model != "auto" and model_class(model).rows == "viewings"
    if not of_viewings:
        shared["estimate"] = estimate
    if model == "auto":
        if folds is not None:
            shared["folds"] = folds
        run: Run | NetworkRun = train_auto(
            PostDataset(dataset),
            out_folder,
            short_list=short_list,
            stack=stack,
            always_stack=always_stack,
            epochs=training.max_epochs,
            metric=metric,
            workers=workers,
            **shared,
        )
    else:
        with run_progress(training.max_epochs) as progress:
            run = train_any(
                PostDataset(dataset),
                model,
                out_folder,
                model_settings=model_settings,
                progress=progress,
                **shared,
            )
    print_scores(run.metrics["scores"], f"Test {run.noun}: {run.metrics['posts']}")
    for warning in run.metrics.get("warnings", []):
        out.print(warning, style="bold red", soft_wrap=True)
    out.print(f"The run is in {out_folder}; 'evoked report {out_folder}' tells its story.")


@app.command(
    epilog="Examples: [dim]evoked evaluate my_run other_posts --json[/]  ·  "
    "[dim]evoked evaluate my_network_run my_network[/]"
)
def evaluate(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    dataset: Annotated[Path, typer.Argument(help="Posts; those it learned from are left out.")],
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Score a run on posts, beside the trivial baselines."""
    from evoked.posts.dataset import PostDataset

    run = load_any_run(run_folder, cache)
    with run_progress() as progress:
        evaluation: Evaluation = run.evaluate(PostDataset(dataset), progress)
    if as_json:
        print_json(evaluation.to_dict())
        return
    out.print(evaluation.split[:1].upper() + evaluation.split[1:], soft_wrap=True)
    if evaluation.excluded:
        out.print(f"{evaluation.excluded} {run.noun} left out: the run has learned from them.")
    for warning in evaluation.warnings:
        out.print(warning, style="bold red", soft_wrap=True)
    found = evaluation.to_dict()
    print_scores(found["scores"], f"{len(evaluation.predictions)} {run.noun} of {dataset}")
    print_coverage(found["intervals"])


@app.command(
    epilog="Examples: [dim]evoked predict my_run --image draft.jpg --caption 'Golden hour'[/]  ·  "
    "[dim]evoked predict my_run --posts new_posts --coverage 0.9 --out scores.csv[/]  ·  "
    "[dim]evoked predict my_network_run --user user-17 --image draft.jpg[/]"
)
def predict(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    image: Annotated[
        str | None,
        typer.Option(help="Picture of a draft; of a viewing also a post_id of the network."),
    ] = None,
    user: UserOption = None,
    groups: GroupsOption = None,
    comment: CommentOption = None,
    caption: CaptionOption = None,
    title: TitleOption = None,
    hashtags: HashtagsOption = None,
    author: AuthorOption = None,
    category: CategoryOption = None,
    followers: FollowersOption = None,
    following: FollowingOption = None,
    author_posts: AuthorPostsOption = None,
    paid: PaidOption = None,
    posted_at: PostedAtOption = None,
    posts: Annotated[Path | None, typer.Option(help="A dataset in place of a draft.")] = None,
    coverage: Annotated[
        float, typer.Option(help="How often the intervals are to hold what a post gets.")
    ] = 0.8,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="File to write: .csv, .json or .parquet.")
    ] = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Predict what a draft, or every post of a dataset, evokes."""
    from evoked.evaluation.conformal import check_coverage
    from evoked.posts.dataset import PostDataset

    if out_file is not None:
        check_suffix(out_file)
    check_coverage(coverage)
    draft = {
        "caption": caption,
        "title": title,
        "hashtags": hashtags,
        "author": author,
        "category": category,
        "followers": followers,
        "following": following,
        "author_posts": author_posts,
        "paid": paid,
        "posted_at": posted_at,
    }
    viewing = {"user": user, "groups": groups, "comment": comment}
    given = any(fact is not None for fact in (image, *draft.values(), *viewing.values()))
    if posts is not None and given:
        raise SettingsError("--posts stands in place of a draft: leave the draft's options out.")
    if posts is None:
        _check_subject(image, caption, user)
    run = load_any_run(run_folder, cache)
    subject: Any = PostDataset(posts) if posts else [_subject(run, image, draft, viewing)]
    with run_progress() as progress:
        table = run.predict(subject, progress, coverage)
    if out_file is not None:
        write_table(table, out_file)
        notes.print(f"{len(table)} predictions in {out_file}")
    if as_json:
        print_json(records(table))
    elif out_file is None:
        print_predictions(table, run, coverage)


@app.command(
    epilog="Examples: [dim]evoked explain my_run --image draft.jpg --caption 'Golden hour' "
    "--out why[/]  ·  [dim]evoked explain my_network_run --user user-17 --image draft.jpg[/]"
)
def explain(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    image: Annotated[
        str | None,
        typer.Option(help="Picture of the draft; of a viewing also a post_id of the network."),
    ] = None,
    user: UserOption = None,
    groups: GroupsOption = None,
    comment: CommentOption = None,
    caption: CaptionOption = None,
    title: TitleOption = None,
    hashtags: HashtagsOption = None,
    author: AuthorOption = None,
    category: CategoryOption = None,
    followers: FollowersOption = None,
    following: FollowingOption = None,
    author_posts: AuthorPostsOption = None,
    paid: PaidOption = None,
    posted_at: PostedAtOption = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for the pictures.")
    ] = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Show what a prediction rests on: regions, words, both, and each modality's share."""
    from evoked.explain import explain as explain_draft
    from evoked.explain import print_explanation
    from evoked.runs.posts import Run

    _check_subject(image, caption, user)
    run = load_any_run(run_folder, cache)
    facts = {
        "caption": caption,
        "title": title,
        "hashtags": hashtags,
        "author": author,
        "category": category,
        "followers": followers,
        "following": following,
        "author_posts": author_posts,
        "paid": paid,
        "posted_at": posted_at,
    }
    viewing = {"user": user, "groups": groups, "comment": comment}
    if not isinstance(run, Run):
        explain_viewing(run, _subject(run, image, {**facts, "out": out_folder}, viewing), as_json)
        return
    explanation = explain_draft(run, _subject(run, image, facts, viewing))
    if out_folder is not None:
        from evoked.explain.drawing import draw_explanation  # matplotlib takes a while to import

        for path in draw_explanation(explanation, out_folder):
            notes.print(f"Drawn: {path}")
    if as_json:
        print_json(explanation.to_dict())
    else:
        print_explanation(explanation, out)


@app.command(epilog="Example: [dim]evoked report my_run --data my_posts[/]")
def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    data: Annotated[
        Path | None,
        typer.Option(help="The run's dataset, for pictures and explanations of posts."),
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
        load_any_run(run_folder, cache), dataset, out_file or run_folder / "report.html"
    )
    out.print(f"Report: {path}")


@app.command()
def models(as_json: JsonFlag = False) -> None:
    """List the models, and the tasks that they learn."""
    from evoked.models.catalogue import catalogue
    from evoked.targets import TASKS

    entries = list(catalogue().values())
    if as_json:
        print_json([vars(entry) for entry in entries])
        return
    print_table(
        "Models",
        ["name", "what it is", "source", "rows", "learns", "reads"],
        [
            [
                entry.name,
                entry.description,
                entry.source,
                entry.rows,
                "every task" if set(entry.tasks) == set(TASKS) else ", ".join(entry.tasks),
                ", ".join(entry.features) or "–",
            ]
            for entry in entries
        ],
    )
    print_table(
        "Tasks",
        ["name", "what is predicted", "source"],
        [[task.name, task.description, task.source] for task in TASKS.values()],
    )


@app.command()
def features(as_json: JsonFlag = False) -> None:
    """List the features that models can read."""
    from evoked.features.catalog import CATALOG

    entries = list(CATALOG.values())
    if as_json:
        print_json([vars(entry) for entry in entries])
        return
    print_table(
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
    import evoked.runs.posts
    from evoked.explain import explain as explain_draft
    from evoked.explain import print_explanation
    from evoked.explain.drawing import draw_explanation
    from evoked.features.cache import FeatureCache
    from evoked.posts.drafts import Draft
    from evoked.posts.synthetic.posts import synthesise
    from evoked.report import write_report

    with progress_bar("Drawing") as progress:
        dataset = synthesise(dest / "posts", n=n, seed=0, progress=progress)
    cache = FeatureCache(dest / "cache")
    with run_progress(epochs) as told:
        run = evoked.runs.posts.train(
            dataset,
            "abmf",
            dest / "run",
            training=TrainingSettings(max_epochs=epochs),
            cache=cache,
            progress=told,
        )
    print_scores(run.metrics["scores"], f"Test posts: {run.metrics['posts']}")
    # Any post that the run has not learned from will do as a draft, if it has all its parts.
    whole = (run.parts["part"] == "test") & dataset.posts["caption"].fillna("").ne("")
    whole &= dataset.posts["images"].str.len() > 0
    shown = int(whole.to_numpy().argmax())
    post = dataset.posts.iloc[shown]
    picture, cover = dest / "draft.jpg", dataset.cover_paths()[shown]
    assert cover is not None
    shutil.copyfile(cover, picture)
    draft = Draft(
        image=picture,
        caption=post["caption"],
        hashtags=post["hashtags"],
        posted_at=post["posted_at"].to_pydatetime(),
        category=post["category"],
        followers=int(post["followers"]),
    )
    explanation = explain_draft(run, draft)
    draw_explanation(explanation, dest / "explanation")
    print_explanation(explanation, out)
    path = write_report(run, dataset, dest / "report.html")
    out.print(f"\nReport: {path}\nPictures of the explanation: {dest / 'explanation'}")


@affect.command(
    "fit",
    epilog="Examples: [dim]evoked affect fit emobank --out my_reader[/], faster and smaller "
    "[dim]evoked affect fit emobank --out my_reader --recipe low-rank[/]",
)
def affect_fit(
    dataset: Annotated[Path, typer.Argument(help="Posts with ratings.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the reader.")],
    split: Annotated[str, typer.Option(help="Part to learn from, if the posts have parts.")] = (
        "train"
    ),
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="How to train the text reader: low-rank (two members, better on valence) or whole "
            "(three, better on arousal); both averaged by default, as in the reader that comes "
            "with evoked."
        ),
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train an emotion reader on rated texts, or rated pictures, or both."""
    from evoked.affect import fit_reader, recipes_by_name
    from evoked.posts.dataset import PostDataset

    recipes = recipes_by_name(recipe or [])
    with progress_bar("Fitting") as report:
        fit_reader(
            PostDataset(dataset),
            out_folder,
            split=split,
            recipes=recipes,
            seed=seed,
            progress=report,
        )
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
        print_json(scores)
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
    print_table("Emotion reader", ["read from", "dimension", "r", "CCC", "MAE", "n"], rows)


def _check_subject(image: str | None, caption: str | None, user: str | None) -> None:
    """Raise SettingsError for what is neither a draft nor a viewing, before a run is loaded."""
    if image is not None:
        image_of(image)
    elif caption is None and user is None:
        raise SettingsError("a draft needs --image or --caption (or give --posts).")


def _subject(
    run: Run | NetworkRun, image: str | None, draft: dict[str, Any], viewing: dict[str, Any]
) -> Any:
    """The draft, or for a run of viewings the viewing, that the options tell."""
    from evoked.runs.posts import Run

    if not isinstance(run, Run):
        check_only_viewings(**draft)
        return viewing_of(run, image, **viewing)
    check_only_posts(**viewing)
    return draft_of(run, image, draft)
