"""What the pages share: templates, languages, forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

import evoked
from evoked.serve.said import amount, noun, phrase, said
from evoked.serve.wording import Wording, chosen, languages

SERVE = Path(__file__).resolve().parents[1]
STATIC = SERVE / "static"
LANGUAGE_COOKIE = "evoked_language"
_YEAR = 365 * 24 * 3600

_environment = Environment(
    loader=FileSystemLoader(SERVE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Page:
    """A part of the desk.

    Attributes
    ----------
    name
        Key of its texts: ``NAME.title`` is what it is called everywhere.
    path
        Where it begins; None for parts that no navigation leads to.
    router
        Its routes.
    """

    name: str
    path: str | None
    router: APIRouter


async def _form(request: Request) -> FormData:
    return await request.form(max_files=1000, max_fields=1000)


Form = Annotated[FormData, Depends(_form)]


def text_of(form: FormData, name: str) -> str:
    """What was typed into a field, without blanks around it; empty where there is none."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def wording_of(request: Request) -> Wording:
    """The texts in the language that the person chose, or that the browser asks for."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return Wording(chosen(asked, request.headers.get("accept-language", "")))


def is_part(request: Request) -> bool:
    """Whether a script asks, for a part of a page; otherwise a person does, for a whole one."""
    return request.headers.get("hx-request") == "true"


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A page, or a part of one, in the person's language."""
    t = wording_of(request)
    pages = [page for page in request.app.state.pages if page.path is not None]
    content = _environment.get_template(template).render(
        t=t,
        pages=pages,
        here=request.url.path,
        languages=languages(),
        version=evoked.__version__,
        has_token=request.app.state.desk.settings.token is not None,
        when=lambda moment: shown_moment(moment, t),
        said=lambda sentence: _said(sentence, t),
        amount=lambda text: amount(text, t.code),
        noun=lambda name: noun(name, t.code),
        phrase=lambda text, kind: phrase(text, kind, t.code),
        **(values or {}),
    )
    answer = HTMLResponse(content, status, dict(headers or {}))
    answer.headers["Vary"] = "Accept-Language, Cookie"
    if request.query_params.get("lang") in languages():
        answer.set_cookie(LANGUAGE_COOKIE, t.code, max_age=_YEAR, samesite="strict", httponly=True)
    return answer


def show_problem(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """An error as a page, or in the place of the part that was asked for."""
    values = {"status": status, "reason": HTTPStatus(status).phrase, "detail": detail}
    template = "part_problem.html" if is_part(request) else "problem.html"
    return render(request, template, values, status=status, headers=headers)


def go(path: str) -> RedirectResponse:
    """Lead to another page after a form was sent."""
    return RedirectResponse(path, 303)


def _said(sentence: str, t: Wording) -> str | Markup:
    """What a run says, in the language of the page where that is known; otherwise marked as
    English, so that it is read aloud as such."""
    found = said(sentence, t.code)
    if found.code == t.code:
        return found.text
    return Markup('<span lang="{}">{}</span>').format(found.code, found.text)


def shown_moment(moment: datetime | float | None, t: Wording) -> str:
    """A moment in the person's language; a dash for none."""
    if moment is None:
        return "–"
    local = datetime.fromtimestamp(moment) if isinstance(moment, int | float) else moment
    return local.strftime(t("date_format"))
