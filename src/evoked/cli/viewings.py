"""What an audience feels at an image, and the options that runs of viewings take elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evoked.cli.application import app, say, say_aside
from evoked.cli.options import (
    CacheOption,
    DownloadFlag,
    JsonFlag,
    check_picture,
    load_any_run,
    option,
)
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


_PANEL = "The viewing (runs of viewings, for example of hmg_emo)"
VIEWING_OPTIONS = (
    option(
        "user",
        str | None,
        typer.Option(
            help="Id of the user whose emotion is predicted; an unknown id is a new user.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "groups",
        list[str] | None,
        typer.Option(
            help="Description of a group that a new user belongs to; repeatable.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "comment",
        str | None,
        typer.Option(
            help="Comment that the user left, for models that read it.", rich_help_panel=_PANEL
        ),
    ),
)


@app.command(
    epilog="Examples: [dim]evoked audience my_run --image draft.jpg --followers-of user-17 "
    "--plot audience.png[/]  ·  "
    "[dim]evoked audience my_run --image post-3 --community 'street dogs' --json[/]"
)
def audience(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of viewings.")],
    image: Annotated[str, typer.Option(help="Picture, or post_id of one of the network's images.")],
    followers_of: Annotated[
        str | None, typer.Option(help="User whose contacts are the audience.")
    ] = None,
    community: Annotated[
        str | None, typer.Option(help="Group whose members are the audience, by id or name.")
    ] = None,
    users: Annotated[
        Path | None, typer.Option(help="File that lists the audience, one user id per line.")
    ] = None,
    most: Annotated[
        int, typer.Option(min=1, help="Users to sample from an audience that is larger.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="Random seed for the sample.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw.")] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="JSON file to write.")] = None,
    as_json: JsonFlag = False,
    cache: CacheOption = None,
    allow_download: DownloadFlag = False,
) -> None:
    """Predict what a user's contacts, or a community, feel at an image."""
    from evoked.posts.readers.base import require_file

    for name, path, suffix in (("--plot", plot, ".png"), ("--out", out_file, ".json")):
        if path is not None and path.suffix != suffix:
            raise SettingsError(f"{name}: a file ending in {suffix}, not {path.name!r}.")
    if users is not None:
        require_file(users)
    picture = image_of(image)
    run = network_run(run_folder, cache, allow_download)

    from evoked.analysis.audience import audience as predicted_audience
    from evoked.analysis.audience import read_users

    found = predicted_audience(
        run,
        picture,
        followers_of=followers_of,
        community=community,
        users=None if users is None else read_users(users),
        most=most,
        seed=seed,
    )
    if out_file is not None:
        write_json(out_file, found.to_dict())
        say_aside(f"Written: {out_file}")
    if plot is not None:
        from evoked.report.audience_chart import draw_audience

        say_aside(f"Drawn: {draw_audience(found, plot)}")
    if as_json:
        print_json(found.to_dict())
    else:
        _print_audience(found)


def network_run(folder: Path, cache: Path | None, allow_download: bool) -> NetworkRun:
    """A run of viewings.

    Raises
    ------
    SettingsError
        The run is of posts.
    """
    run = load_any_run(folder, cache, allow_download)

    from evoked.runs.viewings import NetworkRun

    if not isinstance(run, NetworkRun):
        raise SettingsError(
            f"{folder} is a run of posts ({run.model.name}): it knows no users. Train a model of "
            "viewings, for example hmg_emo, on a network."
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
    """The viewing that options describe; a user unknown to the run is pointed out.

    Raises
    ------
    SettingsError
        There is no image.
    """
    from evoked.runs.viewings import Viewing

    if image is None:
        raise SettingsError("a viewing needs --image: a picture, or a post_id of the network.")
    if user is not None and not run.knows(user):
        say_aside(
            f"The run's graph has no user {user!r}: predicted as a new user, from the image"
            + (" and the groups." if groups else " alone (--groups describes a new user's groups).")
        )
    return Viewing(user, image_of(image), groups or (), comment)


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
            "emotion",
            "mean probability\n(95 %)",
            "most probable\n(95 %)",
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
        say(f"{len(found.unknown)} ids are not in the graph and were left out: {few}")
    say(found.note)


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
    prediction, shown = found.prediction, found.to_dict()
    print_table(
        f"{prediction['user_id'] or 'A new user'} at {prediction['post_id']}: {found.emotion} "
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
        say(f"β = {found.beta:.3f} on average: weight of the user; the image's is 1 - β (Eq. 5).")
    if prediction["problem"]:
        say(prediction["problem"], style="bold")
