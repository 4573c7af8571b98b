"""Who feels what: the emotions of an audience at an image, and why one user feels theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from evoked.errors import EvokedError
from evoked.serve import networks
from evoked.serve.api.common import TheDesk
from evoked.serve.bodies import takes
from evoked.serve.desk import Desk, rows_of
from evoked.serve.networks import Whom
from evoked.serve.pages.common import Form, Page, go, render, text_of
from evoked.serve.pages.goodness import best_scores
from evoked.serve.pages.ranges import WIDTH
from evoked.serve.problems import RefusalError

if TYPE_CHECKING:
    from evoked.analysis.audience import Audience
    from evoked.explain.viewings import NetworkExplanation

router = APIRouter()
page = Page("audience", "/audience", router)

_MARGIN = 4
# A probability that changes by less than this looks as if it did not.
_LEAST_REACH = 0.01
# What an explanation hides, in its words, and the keys of ours.
PARTS = {
    "the picture": "picture",
    "the groups of the user": "groups",
    "the own comment": "comment",
    "the user's connections": "connections",
    "the user's other viewings": "felt",
    "others' viewings of the image": "seen",
}
_FIELDS = ("run", "image", "community", "followers_of", "users", "user", "groups", "comment")
_LONGEST = {"users": 4000, "groups": 2000, "comment": 2000}
_LONGEST_NAME = 500

Text = Annotated[str, Query(max_length=4000)]


@router.get("/audience")
def audience(
    request: Request,
    desk: TheDesk,
    run: Text = "",
    image: Text = "",
    picture: Text = "",
    community: Text = "",
    followers_of: Text = "",
    users: Text = "",
    user: Text = "",
    groups: Text = "",
    comment: Text = "",
) -> Response:
    """What was asked, and its answers."""
    asked = {
        **{"run": run, "image": image, "picture": picture, "community": community},
        **{"followers_of": followers_of, "users": users},
        **{"user": user, "groups": groups, "comment": comment},
    }
    runs = networks.networks(desk)
    entry = networks.network(desk, run) if run else next(iter(runs), None)
    values: dict[str, Any] = {"runs": runs, "entry": entry, "asked": asked, "width": WIDTH}
    values |= {"found": None, "person": None, "problem": None, "scores": []}
    if entry is not None:
        values |= {"communities": [], "images": [], "number": 0, "scores": best_scores(entry)}
        try:
            values["communities"], values["images"], values["number"] = networks.known(entry)
            values |= _answers(desk, entry.name, asked)
        except (EvokedError, RefusalError) as error:
            values["problem"] = desk.places.left_out(str(error))
    return render(request, "audience.html", values)


@router.post("/audience")
@takes("picture_bytes")
def ask(desk: TheDesk, form: Form) -> Response:
    """Keep the picture, if one was brought, and lead to the answers."""
    asked = {
        name: text_of(form, name)[: _LONGEST.get(name, _LONGEST_NAME)]
        for name in _FIELDS
        if text_of(form, name)
    }
    file = form.get("file")
    if isinstance(file, UploadFile) and file.filename:
        asked["picture"] = desk.uploads.add_picture(file.file.read())
    elif "image" not in asked and text_of(form, "picture"):
        asked["picture"] = text_of(form, "picture")[:_LONGEST_NAME]
    return go(f"/audience?{urlencode(asked)}")


def whom(asked: Mapping[str, str]) -> Whom | None:
    """The audience that was asked for; None where none was."""
    listed = tuple(asked["users"].replace(",", "\n").split())
    found = Whom(asked["followers_of"] or None, asked["community"] or None, listed or None)
    return None if found == Whom() else found


def _answers(desk: Desk, run: str, asked: Mapping[str, str]) -> dict[str, Any]:
    """What the audience feels, and one user, as far as they were asked for."""
    audience, image, picture = whom(asked), asked["image"], asked["picture"]
    has_person = bool(asked["user"] or asked["groups"])
    values: dict[str, Any] = {}
    if audience is not None:
        values["found"] = _audience(networks.audience(desk, run, image, picture, audience))
    if has_person:
        groups = [line.strip() for line in asked["groups"].splitlines() if line.strip()]
        user, comment = asked["user"] or None, asked["comment"] or None
        found, known = networks.explain(desk, run, image, picture, user, groups, comment)
        values["person"] = _person(found) | {"known": known, "user": user}
    if audience is None and not has_person and (image or picture):
        raise RefusalError(422, "nobody was named: give an audience, or a user.")
    return values


def _audience(found: Audience) -> dict[str, Any]:
    """The shares in order, the largest first, with their places on a line from 0 to 1."""
    rows = sorted(rows_of(found.table), key=lambda row: -row["share"])
    return {
        "rows": [
            {**row, "places": {name: _place(row[name]) for name in ("share", "low", "high")}}
            | {"everyone_place": _place(row["everyone"])}
            for row in rows
        ],
        "first": rows[0],
        "members": found.members,
        "n": found.n,
        "unknown": found.unknown[:5],
        "more_unknown": max(0, len(found.unknown) - 5),
        "note": found.note,
    }


def _place(share: float | None) -> float | None:
    return None if share is None else round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1)


def _person(found: NetworkExplanation) -> dict[str, Any]:
    """The explanation, with the bars of what each part adds, and how often such sets held."""
    shown = found.to_dict()
    prediction = shown["prediction"]
    held, number = prediction.get("coverage_measured"), prediction.get("coverage_n")
    return {
        "emotion": found.emotion,
        "probability": found.probability,
        "image": prediction["post_id"],
        "set": [name.strip() for name in (prediction["emotion_set"] or "").split(",") if name],
        "held": None if held is None or not number else round(held * number),
        "tested": number,
        "problem": prediction["problem"],
        "parts": [{**row, "key": PARTS.get(row["hidden"])} for row in _with_bars(shown["parts"])],
        "neighbours": _with_bars(shown["neighbours"]),
        "inside": shown["inside"],
        "beta": shown["beta"],
    }


def _with_bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with ``effect``, each with the bar that reaches as far from the middle."""
    reach = max([_LEAST_REACH, *(abs(row["effect"]) for row in rows)])
    found = []
    for row in rows:
        half = (WIDTH / 2 - _MARGIN) * row["effect"] / reach
        bar = {"x": round(WIDTH / 2 + min(half, 0), 1), "width": round(abs(half), 1)}
        found.append({**row, "bar": bar})
    return found
