"""The demo: from posts that are made up to a report, in one command."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evoked.cli.application import app, out, say
from evoked.cli.printing import print_scores
from evoked.cli.progress import progress_display, run_callbacks
from evoked.posts.drafts import Draft

if TYPE_CHECKING:
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Run


@app.command(epilog="Example: [dim]evoked demo my_demo --n 300 --epochs 3[/]")
def demo(
    dest: Annotated[Path, typer.Argument(help="Folder for everything that the demo makes.")],
    n: Annotated[int, typer.Option(min=50, help="Number of posts.")] = 1000,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the training at most.")] = 10,
) -> None:
    """Make up posts, train ABMF on them, score and explain a draft, and write the report."""
    from evoked.posts.synthetic.posts import synthesise

    with progress_display() as progress:
        dataset = synthesise(dest / "posts", n=n, seed=0, progress=progress)

    from evoked.explain import explain, print_explanation
    from evoked.explain.drawing import draw_explanation
    from evoked.features.cache import FeatureCache
    from evoked.report import write_report
    from evoked.runs.training import train_posts
    from evoked.training import TrainingSettings

    with progress_display() as display:
        run = train_posts(
            dataset,
            "abmf",
            dest / "run",
            training=TrainingSettings(max_epochs=epochs),
            cache=FeatureCache(dest / "cache"),
            callbacks=run_callbacks(display, epochs),
        )
    print_scores(run.metrics["scores"], f"Test posts: {run.metrics['posts']}", run.task)
    explanation = explain(run, _draft_from(dataset, run, dest / "draft.jpg"))
    draw_explanation(explanation, dest / "explanation")
    print_explanation(explanation, out)
    path = write_report(run, dataset, dest / "report.html")
    say(f"\nReport: {path}\nPictures of the explanation: {dest / 'explanation'}")
    words = ("evoked", "serve", str(run.folder), "--data", str(dest / "desk"))
    say(f"Open the desk on it: {shlex.join(words)}")


def _draft_from(dataset: PostDataset, run: Run, picture: Path) -> Draft:
    """A draft with every part: a test post, so that the run hasn't learned from it."""
    whole = (run.parts["part"] == "test") & dataset.posts["caption"].fillna("").ne("")
    whole &= dataset.posts["images"].str.len() > 0
    row = int(whole.to_numpy().argmax())
    post, cover = dataset.posts.iloc[row], dataset.cover_paths()[row]
    assert cover is not None
    shutil.copyfile(cover, picture)
    return Draft(
        image=picture,
        caption=post["caption"],
        hashtags=post["hashtags"],
        posted_at=post["posted_at"].to_pydatetime(),
        category=post["category"],
        followers=int(post["followers"]),
    )
