"""Score a draft: what it will get, why, what it is like, and which of several variants."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from evoked.errors import DataError
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.runs.answer import Quantity, quantities
from evoked.runs.posts import Run
from evoked.runs.spoken import base_in_words, base_of, spoken, spoken_alike
from evoked.serve import advice
from evoked.serve.api.common import TheDesk
from evoked.serve.api.drafts import DraftFacts
from evoked.serve.bodies import takes
from evoked.serve.desk import Desk, rows_of
from evoked.serve.pages.common import Form, Page, render, text_of, wording_of
from evoked.serve.pages.paper import advice_sheet, keep_advice
from evoked.serve.problems import RefusalError

if TYPE_CHECKING:
    from evoked.advice import Advice

router = APIRouter()
page = Page("draft", "/draft", router)

_TEXTS = ("picture", "caption", "posted_at", "author", "category")
_MOST_VARIANTS = 8
_SHOWN_CAPTION = 60
# The drawn range: its width in units, with room for the labels at both ends.
_WIDTH, _MARGIN = 600, 20


class Variant(BaseModel):
    """A draft that was kept to be compared."""

    name: str = Field(max_length=100)
    draft: DraftFacts


@router.get("/draft")
def draft(request: Request, desk: TheDesk, run: str = "") -> Response:
    """The form."""
    runs = desk.library.runs_of_posts()
    entry = next((each for each in runs if each.name == run), runs[0] if runs else None)
    values: dict[str, Any] = {"runs": runs, "entry": entry, "loaded": None, "variants": []}
    if entry is not None:
        values["loaded"] = desk.library.scorer(entry).run
    return render(request, "draft.html", values)


@router.post("/draft/picture")
@takes("picture_bytes")
def picture(request: Request, desk: TheDesk, form: Form) -> Response:
    """Keep a picture, or none any more, and show it; the form then asks for a score again."""
    file, identifier = form.get("file"), ""
    if isinstance(file, UploadFile) and file.filename:
        identifier = desk.uploads.add_picture(file.file.read())
    values = {"picture": identifier}
    return render(
        request, "part_picture.html", values, headers={"HX-Trigger-After-Settle": "pictured"}
    )


@router.post("/draft/score")
def score(request: Request, desk: TheDesk, form: Form) -> Response:
    """The answer to what the form holds."""
    facts = _facts(form)
    if not {"picture", "caption"} & set(facts):
        return render(request, "part_nothing.html")
    entry = desk.run_of_posts(text_of(form, "run"))
    (row,) = rows_of(desk.score(entry, [facts], DEFAULT_COVERAGE))
    numbers = _numbers(desk.scorer(entry).run, row)
    values = {"row": row, "numbers": numbers, "range": _drawn(numbers[0]) if numbers else None}
    return render(request, "part_answer.html", values)


@router.post("/draft/why")
def why(request: Request, desk: TheDesk, form: Form) -> Response:
    """What the answer rests on."""
    facts = _facts(form)
    if not {"picture", "caption"} & set(facts):
        return render(request, "part_nothing.html")
    explanation, pictures = desk.explain(text_of(form, "run"), facts)
    shown = explanation.to_dict()
    values = {
        "shows": shown["shows"],
        "drawn": list(pictures.values()),
        "similar": shown["similar"],
        "notes": shown["notes"],
    }
    return render(request, "part_why.html", values)


@router.post("/draft/advice")
def advise(request: Request, desk: TheDesk, form: Form) -> Response:
    """What to change about the draft."""
    from evoked.advice.advising import LABELS

    entry = desk.run_of_posts(text_of(form, "run"))
    found, answer = advice.advise(desk, entry, _facts(form))
    shown = [
        {
            "do": each.action.text,
            "worth": _as_sentence(each.worth(found.by.noun)),
            "evidence": each.evidence(found.own),
            "label": each.label,
        }
        for each in found.advised
    ]
    values: dict[str, Any] = {
        "advised": shown,
        "labels": {each.label: LABELS[each.label] for each in found.advised},
        "sentences": answer["sentences"],
        "notes": answer["notes"],
        "changed": None if found.rewritten is None else _changed(found, answer["rewritten"]),
    }
    sheet = advice_sheet(values, entry.name, found.answer, wording_of(request))
    values["download"] = keep_advice(desk, sheet, found.looked_at)
    return render(request, "part_advice.html", values)


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


@router.post("/draft/use")
def use(request: Request, desk: TheDesk, form: Form) -> Response:
    """Show another picture in the form, one that the desk keeps."""
    identifier = text_of(form, "use")
    if desk.uploads.picture(identifier) is None:
        raise RefusalError(404, "that picture is not there (any more).")
    values = {"picture": identifier}
    return render(
        request, "part_picture.html", values, headers={"HX-Trigger-After-Settle": "pictured"}
    )


@router.post("/draft/keep")
def keep(request: Request, desk: TheDesk, form: Form) -> Response:
    """Keep the answer, to be held against what comes."""
    found = advice.keep(desk, text_of(form, "run"), [_facts(form)], DEFAULT_COVERAGE)
    return render(request, "part_kept.html", found)


@router.post("/draft/variants")
def variants(request: Request, desk: TheDesk, form: Form) -> Response:
    """Keep the draft as a variant, or leave one out; and their order."""
    kept = _variants(form)
    leave = text_of(form, "leave")
    facts = _facts(form)
    if leave:
        kept = [each for each in kept if each.name != leave]
    elif {"picture", "caption"} & set(facts) and len(kept) < _MOST_VARIANTS:
        names = {each.name for each in kept}
        number = next(n for n in range(1, 100) if f"{n}" not in names)
        kept.append(Variant(name=str(number), draft=DraftFacts(**facts)))
    return render(request, "part_variants.html", _compared(desk, text_of(form, "run"), kept))


def _facts(form: FormData) -> dict[str, Any]:
    """The facts of the draft that the form holds; empty fields are left out."""
    facts: dict[str, Any] = {name: text for name in _TEXTS if (text := text_of(form, name))}
    if tags := text_of(form, "hashtags"):
        facts["hashtags"] = [tag.lstrip("#") for tag in tags.replace(",", " ").split()]
    if followers := text_of(form, "followers"):
        if not followers.isdecimal():
            raise DataError("expected a whole number.", field="followers")
        facts["followers"] = int(followers)
    own = {
        name.removeprefix("fact."): text_of(form, name)
        for name in form
        if name.startswith("fact.") and text_of(form, name)
    }
    return facts | ({"facts": own} if own else {})


def _changed(found: Advice, rewritten: dict[str, Any]) -> dict[str, Any]:
    """What differs in a rewritten draft, in words and as the form's fields take it."""
    changes = found.changes
    fields: dict[str, str] = {}
    if "caption" in changes:
        fields["caption"] = changes["caption"]
    if "hashtags" in changes:
        fields["hashtags"] = " ".join(f"#{tag}" for tag in changes["hashtags"])
    if "posted_at" in changes:
        fields["posted_at"] = changes["posted_at"].strftime("%Y-%m-%dT%H:%M")
    return {
        "fields": fields,
        "when": changes.get("posted_at"),
        "json": json.dumps(fields),
        "picture": rewritten["picture"] if "image" in changes else None,
    }


def _variants(form: FormData) -> list[Variant]:
    try:
        return [
            Variant.model_validate_json(text)
            for text in form.getlist("variant")[:_MOST_VARIANTS]
            if isinstance(text, str)
        ]
    except ValidationError as error:
        raise DataError("a kept variant is damaged.", fix="Reload the page.") from error


def _compared(desk: Desk, run: str, kept: list[Variant]) -> dict[str, Any]:
    """The variants in order, the best first, once there are two."""
    values: dict[str, Any] = {"variants": [], "ranking": None}
    order: dict[str, dict[str, Any]] = {}
    if len(kept) > 1:
        drafts = [each.draft.row() | {"name": each.name} for each in kept]
        ranking = desk.rank(run, drafts, None, DEFAULT_COVERAGE)
        found = ranking.to_dict()
        values["ranking"] = found
        first = found["drafts"][0]["post_id"]
        chances = {
            pair["worse"]: pair["chance"] for pair in found["pairs"] if pair["better"] == first
        }
        for row in found["drafts"]:
            number = in_words(ranking.by, row, ranking.base)
            chance = chances.get(row["post_id"]) if ranking.curve.orders else None
            order[row["post_id"]] = {
                "number": number,
                "behind": None if chance is None else round(100 * chance),
                "first": row["post_id"] == first,
            }
    ordered = sorted(kept, key=lambda each: list(order).index(each.name) if order else 0)
    for each in ordered:
        caption = " ".join((each.draft.caption or "").split())
        shown = caption if len(caption) <= _SHOWN_CAPTION else f"{caption[: _SHOWN_CAPTION - 1]}…"
        values["variants"].append(
            {
                "name": each.name,
                "picture": each.draft.picture,
                "caption": shown,
                "json": each.model_dump_json(exclude_none=True),
                **order.get(each.name, {"number": None, "behind": None}),
                "first": bool(order) and order[each.name]["first"],
            }
        )
    return values


def _numbers(run: Run, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The numbers that people are shown: counts, or rates where no count is known, and emotion
    where people rated it."""
    found = [
        each
        for each in quantities(run.task)
        if row.get(each.column) is not None and each.column not in run.unrated_emotions
    ]
    counted = {each.noun for each in found if each.counts and not each.basis}
    shown = [each for each in found if not each.basis or each.noun not in counted]
    record = run.track_record
    return [
        in_words(each, row) | {"held": record.held(each.column, DEFAULT_COVERAGE)} for each in shown
    ]


def in_words(quantity: Quantity, row: Mapping[str, Any], base: int | None = None) -> dict[str, Any]:
    """A predicted number in words, with its range where it has one, and what came (in ``_true``)
    where that is known. Rates are said per ``base``, by default what makes them one or more."""
    value = float(row[quantity.column])
    ends = [row.get(f"{quantity.column}_{end}") for end in ("low", "high")]
    bounded = all(end is not None and math.isfinite(end) for end in ends)
    if base is None:
        base = base_of(value) if quantity.basis else 1
    numbers = [value * base, *(float(end) * base for end in ends if bounded and end is not None)]
    about, *said = spoken_alike(numbers, whole=quantity.counts and not quantity.basis)
    noun = quantity.noun
    if quantity.basis:
        noun = f"{noun} per {base_in_words(base, quantity.basis)}"
    came = row.get(f"{quantity.column}_true")
    return {
        "noun": noun,
        "about": about,
        "came": None if came is None else spoken(float(came) * base),
        "ends": said,
        "values": numbers,
        "counts": quantity.counts,
    }


def _drawn(number: dict[str, Any]) -> dict[str, Any] | None:
    """Where a range and its middle lie on a line from zero, in the drawing's units."""
    if len(number["values"]) < 3 or not number["counts"]:
        return None
    value, low, high = number["values"]
    top = high * 1.15 or 1.0
    scale = (_WIDTH - 2 * _MARGIN) / top
    places = [round(_MARGIN + each * scale, 1) for each in (value, low, high)]
    return {
        "value": places[0],
        "low": places[1],
        "high": places[2],
        "width": _WIDTH,
        "margin": _MARGIN,
        "top": spoken(top),
    }
