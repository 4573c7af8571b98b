"""Advice at the desk: when to post, what to change, what was kept and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evoked.errors import DataError
from evoked.serve.desk import Desk
from evoked.serve.library import RunEntry
from evoked.serve.said import said
from evoked.serve.wording import DEFAULT

if TYPE_CHECKING:
    from evoked.advice import Advice, Hours
    from evoked.advice.review import Review


def when(
    desk: Desk,
    run: RunEntry | str,
    by: str | None = None,
    author: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Hours:
    """Say when to post: see :func:`evoked.when`; ``facts`` are those of a draft."""
    from evoked.advice.hours import when as when_to_post

    entry = desk.run_of_posts(run)
    with _without_places():
        if facts is None:
            return when_to_post(entry.folder, by=by, author=author)
        scorer = desk.scorer(entry)
        draft = scorer.draft(desk.row(facts), 1)
        with scorer.turn:
            return when_to_post(scorer.run, draft, by=by, author=author)


def week_png(found: Hours, code: str = DEFAULT) -> bytes:
    """A picture of the week, in the language of a code."""
    from evoked.report.hours_chart import hours_png

    return hours_png(found, lambda text: said(text, code).text)


def advise(
    desk: Desk, run: RunEntry | str, facts: Mapping[str, Any], by: str | None = None
) -> tuple[Advice, dict[str, Any]]:
    """Say what to change about a draft: see :func:`evoked.advise`. And the same ready for JSON,
    where the picture of the rewritten draft is one that the desk keeps, by its id."""
    from evoked.advice import advise as advise_on

    scorer = desk.scorer(run)
    draft = scorer.draft(desk.row(facts), 1)
    with scorer.turn, _without_places():
        found = advise_on(scorer.run, draft, by)
    answer = found.to_dict()
    if found.rewritten is not None:
        image = found.rewritten.image
        answer["rewritten"].pop("image")
        answer["rewritten"]["picture"] = (
            desk.uploads.add_picture(image) if isinstance(image, bytes) else facts.get("picture")
        )
    return found, answer


def keep(
    desk: Desk, run: RunEntry | str, drafts: Sequence[Mapping[str, Any]], coverage: float
) -> dict[str, Any]:
    """Score drafts and keep the answers in the run's ledger; none is kept if one can't be scored.

    Returns
    -------
    How many were kept, in which run, ready for JSON.
    """
    from evoked.advice.ledger import keep as keep_in_ledger

    entry = desk.run_of_posts(run)
    scorer = desk.scorer(entry)
    found = [
        # A name that the desk gave is none by which the post could be recognised.
        replace(scorer.draft(desk.row(facts), number), name=facts.get("name"))
        for number, facts in enumerate(drafts, start=1)
    ]
    with scorer.turn, _without_places():
        table = scorer.run.predict(found, None, coverage)
        kept = keep_in_ledger(scorer.run, "prediction", found, table, coverage)
    return {"run": entry.name, "kept": kept}


def review(desk: Desk, run: RunEntry | str, dataset: str = "") -> Review:
    """What was kept, beside what came: see :func:`evoked.advice.review.review`; ``dataset`` has
    the posts that came since, if its name is not empty."""
    from evoked.advice.review import review as review_ledger

    scorer = desk.scorer(run)
    posts = desk.dataset(dataset).open() if dataset else None
    with scorer.turn, _without_places():
        return review_ledger(scorer.run, posts)


@contextmanager
def _without_places() -> Iterator[None]:
    """Leave out of errors where a run lies on this machine."""
    try:
        yield
    except DataError as error:
        if isinstance(error.file, Path):
            raise DataError(error.problem, field=error.field, fix=error.fix) from error
        raise
