"""What an audience feels at an image; options of runs of viewings in the other commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import CacheOption, JsonFlag, app, notes, out
from evoked.cli.options import check_picture, load_any_run
from evoked.cli.printing import print_json, print_table
from evoked.errors import SettingsError
from evoked.files import write_json

if TYPE_CHECKING:
    from evoked.analysis.audience import Audience
    from evoked.runs.viewings import Image, NetworkRun, Viewing

# What HMG-Emo's parts are to people.
_AROUND = {
    "image": "pictures",
    "user": "groups of users",
    "comment": "comments",
    "emotions": "known emotions",
    "viewings": "viewings",
    "connections": "connections",
}


UserOption = Annotated[
    str | None,
    typer.Option("--user", help="Run of viewings: whose emotion; an unknown id is a new user."),
]
GroupsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--groups", help="Run of viewings: description of a group of a new user; repeatable."
    ),
]
CommentOption = Annotated[
    str | None,
    typer.Option("--comment", help="Run of viewings: the comment, for models that read it."),
]


@app.command(
    epilog="Examples: [dim]evoked audience my_run --image draft.jpg --followers-of user-17 "
    "--plot audience.png[/]  ·  "
    "[dim]evoked audience my_run --image post-3 --community 'street dogs' --json[/]"
)
def audience(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN")],
    image: Annotated[str, typer.Option(help="Picture, or post_id of an image of the network.")],
    followers_of: Annotated[str | None, typer.Option(help="The contacts of this user.")] = None,
    community: Annotated[
        str | None, typer.Option(help="The members of this group, by id or name.")
    ] = None,
    users: Annotated[
        Path | None, typer.Option(help="The users in this file, one id per line.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Of larger audiences so many are drawn.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw.")] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="JSON file to write.")] = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
) -> None:
    """Predict what a user's contacts, or a community, feel at an image."""
    from evoked.analysis.audience import audience as predicted_audience
    from evoked.analysis.audience import read_users
    from evoked.report.audience_chart import draw_audience

    for path, suffix in ((plot, ".png"), (out_file, ".json")):
        if path is not None and path.suffix != suffix:
            raise SettingsError(f"a file ending in {suffix}, not {path.name!r}.")
    found = predicted_audience(
        network_run(run_folder, cache),
        image_of(image),
        followers_of=followers_of,
        community=community,
        users=None if users is None else read_users(users),
        most=most,
        seed=seed,
    )
    if out_file is not None:
        write_json(out_file, found.to_dict())
        notes.print(f"Written: {out_file}")
    if plot is not None:
        notes.print(f"Drawn: {draw_audience(found, plot)}")
    if as_json:
        print_json(found.to_dict())
    else:
        _print_audience(found)


def network_run(folder: Path, cache: Path | None) -> NetworkRun:
    """A run of viewings.

    Raises
    ------
    SettingsError
        The run is of posts.
    """
    from evoked.runs.viewings import NetworkRun

    run = load_any_run(folder, cache)
    if not isinstance(run, NetworkRun):
        raise SettingsError(
            f"{folder} is a run of posts ({run.model.name}): it knows no users. Train a model of "
            "viewings, such as hmg_emo, on a network."
        )
    return run


def image_of(text: str) -> Image:
    """A picture where there is such a file, else the id of an image of the network."""
    from evoked.posts.readers.base import PICTURE_SUFFIXES

    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        return check_picture(path)
    return text


def viewing_of(
    run: NetworkRun,
    image: str | None,
    user: str | None,
    groups: list[str] | None,
    comment: str | None,
) -> Viewing:
    """The viewing that options tell; a user whom the run does not know is pointed out.

    Raises
    ------
    SettingsError
        No image.
    """
    from evoked.runs.viewings import Viewing

    if image is None:
        raise SettingsError("a viewing needs --image: a picture, or a post_id of the network.")
    if user is not None and not run.knows(user):
        notes.print(
            f"The run's graph holds no user {user!r}: predicted as a new user, from the image"
            + (
                " and the groups." if groups else " alone (--groups describes a new user's groups)."
            ),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return Viewing(user, image_of(image), groups or (), comment)


def check_only_viewings(**options: Any) -> None:
    """Raise SettingsError for options of drafts; those not given are None."""
    _refuse(options, "goes with drafts of posts, not with a run of viewings (--user, --image)")


def check_only_posts(**options: Any) -> None:
    """Raise SettingsError for options of viewings; those not given are None."""
    _refuse(options, "goes with a run of viewings (such as hmg_emo); this run is of posts")


def _refuse(options: dict[str, Any], why: str) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise SettingsError(f"{', '.join(given)} {why}.")


def _print_audience(found: Audience) -> None:
    table, n = found.table, found.n
    headings = {
        "everyone": "all users",
        "viewers": "its viewers\nfelt",
        "all_viewings": "felt at any\nimage",
    }
    compared = [name for name in headings if n[name]]
    drawn = "" if n["share"] == found.members else f", {n['share']} of them drawn"
    print_table(
        f"What {found.name} feel at {found.image} ({found.members} users{drawn})",
        [
            *("emotion", "mean probability\n(95 %)", "most probable\n(95 %)"),
            *(f"{headings[name]}\n(n = {n[name]})" for name in compared),
        ],
        [
            [
                row["emotion"],
                _with_bounds(row["share"], row["low"], row["high"]),
                _with_bounds(
                    row["most_probable"], row["most_probable_low"], row["most_probable_high"]
                ),
                *(_percent(row[name]) for name in compared),
            ]
            for _, row in table.iterrows()
        ],
    )
    if found.unknown:
        few = ", ".join(found.unknown[:5])
        out.print(
            f"{len(found.unknown)} ids are not in the graph and left out: {few}", soft_wrap=True
        )
    out.print(found.note, highlight=False, soft_wrap=True)


def _with_bounds(value: float, low: float, high: float) -> str:
    bounds = "" if low != low else f" ({low:.0%}…{high:.0%})"  # noqa: PLR0124 (NaN)
    return _percent(value) + bounds


def _percent(value: float) -> str:
    return "–" if value != value else f"{value:.1%}"  # noqa: PLR0124 (NaN)


def explain_viewing(run: NetworkRun, viewing: Viewing, as_json: bool) -> None:
    """Print what a prediction of a viewing rests on."""
    from evoked.explain.viewings import explain_viewing as explained

    found = explained(run, viewing)
    if as_json:
        print_json(found.to_dict())
        return
    told, shown = found.prediction, found.to_dict()
    print_table(
        f"{told['user_id'] or 'A new user'} at {told['post_id']}: {found.emotion} "
        f"({found.probability:.1%})",
        ["hidden", "how many", f"{found.emotion} without it", "what it adds"],
        [
            [
                row["hidden"],
                "–" if row["count"] is None else f"{row['count']:.0f}",
                f"{row['without']:.1%}",
                f"{row['effect']:+.1%}",
            ]
            for row in shown["parts"]
        ],
    )
    if len(found.neighbours):
        print_table(
            "Single neighbours (users as hashes)",
            ["what", "user", "image", "felt", "attention", "what it adds"],
            [
                [
                    "connection" if row["image"] is None else "viewing",
                    row["user"],
                    row["image"] or "–",
                    row["emotion"] or "–",
                    "–" if row["attention"] is None else f"{row['attention']:.3f}",
                    f"{row['effect']:+.1%}",
                ]
                for row in shown["neighbours"]
            ],
            whole=(0, 1, 2),
        )
    if found.inside:
        print_table(
            "Hidden from every user and image around, too",
            ["hidden", "what it adds"],
            [[_AROUND[name], f"{effect:+.1%}"] for name, effect in found.inside.items()],
        )
    if found.beta is not None:
        out.print(
            f"β = {found.beta:.3f} on average: the user's weight; the image's is 1 - β (Eq. 5).",
            highlight=False,
        )
    if told["problem"]:
        out.print(told["problem"], style="bold", soft_wrap=True)
