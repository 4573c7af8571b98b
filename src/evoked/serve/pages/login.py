"""The page that asks for the token, where the desk has one."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from evoked.serve.api.common import TheDesk
from evoked.serve.pages.common import Form, Page, go, render, text_of
from evoked.serve.problems import RefusalError
from evoked.serve.security import COOKIE, Rates, retry_after, same, session

router = APIRouter()
page = Page("login", None, router)


@router.get("/login")
def login(request: Request) -> Response:
    """Ask for the token."""
    return render(request, "login.html", {"wrong": False})


@router.post("/login")
def enter(request: Request, desk: TheDesk, form: Form) -> Response:
    """Compare the token, and remember in a cookie that it was brought: not the token itself."""
    token = desk.settings.token
    if token is None:
        return go("/")
    guesses: Rates = request.app.state.guesses
    client = request.client.host if request.client else "unknown"
    wait = guesses.seconds_to_wait(client, take=False)
    if wait:
        raise RefusalError(429, "too many wrong tokens.", retry_after(wait))
    if not same(text_of(form, "token"), token):
        guesses.seconds_to_wait(client)
        return render(request, "login.html", {"wrong": True}, status=401)
    answer = go("/")
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, session(token), httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/logout")
def leave() -> Response:
    """Forget that the token was brought."""
    answer = go("/login")
    answer.delete_cookie(COOKIE)
    return answer
