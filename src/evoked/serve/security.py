"""Who may ask what: tokens, hosts, origins, rates, slow clients, and the headers of every answer.

The guard stands before everything else, also before bodies are read. On this machine's own address
nothing but the browser's word protects the desk from other pages in it, so their requests are
refused: by ``Host`` (a name that another site points here), ``Sec-Fetch-Site`` and ``Origin``.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evoked.serve.problems import problem
from evoked.serve.settings import DeskSettings, Limits

COOKIE = "evoked_desk"
LOGIN = "/login"
_READING = ("GET", "HEAD", "OPTIONS")
# Nothing but health may be asked without a token, and what the page that asks for it needs.
_OPEN = ("/health", LOGIN, "/static/")
_MOST_CLIENTS = 10_000
# Bytes of a body that have to come in a second, on average.
_SLOWEST_BYTES = 16 * 1024
GUESSES = 10
"""Wrong tokens that one client may try in a minute."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The browser says 'Origin: null' of forms where no referrer may be sent.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}


class Rates:
    """Counts what clients do: each has a bucket of tokens that fills up evenly.

    Parameters
    ----------
    number, seconds
        So many at once, and so many within so many seconds from then on.
    """

    def __init__(self, number: int, seconds: float) -> None:
        self.number, self.seconds = number, seconds
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, client: str, take: bool = True) -> float:
        """0 if a client may go on, which counts if ``take``; otherwise the seconds to wait."""
        now = time.monotonic()
        left, then = self._left.pop(client, (float(self.number), now))
        left = min(self.number, left + (now - then) * self.number / self.seconds)
        may = left >= 1
        self._left[client] = (left - 1 if may and take else left, now)
        while len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if may else (1 - left) * self.seconds / self.number


class Guard:
    """ASGI middleware that lets through what may be answered.

    Parameters
    ----------
    app
        What answers.
    settings
        The desk's.
    guesses
        Counts wrong tokens.
    """

    def __init__(self, app: ASGIApp, settings: DeskSettings, guesses: Rates) -> None:
        self.app, self.settings = app, settings
        self.limits: Limits = settings.limits
        self.rates = Rates(self.limits.requests, self.limits.per_seconds)
        self.guesses = guesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers)
        guarded = _with_headers(send, scope)
        if answer is not None:
            await answer(scope, receive, guarded)
            return
        exchange = _Exchange(receive, guarded, self.limits.slow_seconds)
        with suppress(SlowClientError):
            await self.app(scope, exchange.receive, exchange.send)
        if exchange.too_slow and not exchange.answered:
            slow = problem(408, "the request came too slowly.", headers={"Connection": "close"})
            await slow(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """The answer to a request that is not let through; None for others."""
        if not is_known_host(headers.get("host", ""), self.settings.names):
            return problem(421, "the desk is not called by this name. Start it with --name NAME.")
        if scope["method"] not in _READING and is_cross_site(headers):
            return problem(403, "the request comes from another site, so it is refused.")
        client = (scope.get("client") or ("unknown", 0))[0]
        wait = self.rates.seconds_to_wait(client)
        if wait:
            return problem(429, "too many requests: wait a moment.", headers=retry_after(wait))
        return self._unknown(scope, headers, client)

    def _unknown(self, scope: Scope, headers: Headers, client: str) -> ASGIApp | None:
        """The answer to who doesn't bring the token."""
        token, path = self.settings.token, scope["path"]
        if token is None or path in _OPEN or path.startswith(_OPEN[-1]):
            return None
        given = _bearer(headers)
        if given is None and is_logged_in(headers, token):
            return None
        if given is not None:
            wait = self.guesses.seconds_to_wait(client, take=False)
            if wait:
                return problem(429, "too many wrong tokens.", headers=retry_after(wait))
            if same(given, token):
                return None
            self.guesses.seconds_to_wait(client)
        if scope["method"] in _READING and "text/html" in headers.get("accept", ""):
            return RedirectResponse(LOGIN, 303)
        return problem(
            401,
            "this desk asks for its token, as 'Authorization: Bearer TOKEN'.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says when to ask again: not a moment too early, so rounded up."""
    return {"Retry-After": str(math.ceil(seconds))}


def same(given: str, expected: str) -> bool:
    """Whether two secrets are the same, in a time that doesn't show how much of them is."""
    digests = (
        hashlib.sha256(each.encode("utf-8", "replace")).digest() for each in (given, expected)
    )
    return hmac.compare_digest(*digests)


def session(token: str) -> str:
    """What the cookie holds of somebody who brought the token: not the token itself."""
    return hmac.new(token.encode(), b"evoked desk session", hashlib.sha256).hexdigest()


def is_logged_in(headers: Mapping[str, str], token: str) -> bool:
    """Whether the request's cookie is of somebody who brought the token."""
    try:
        cookies = SimpleCookie(headers.get("cookie", "")[:8192])
    except CookieError:
        return False
    return COOKIE in cookies and same(cookies[COOKIE].value, session(token))


def is_known_host(host: str, names: tuple[str, ...]) -> bool:
    """Whether a request's ``Host`` is an address, ``localhost`` or a name that the desk was given:
    any other may be a site's that points here (DNS rebinding), which no address can be."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if not name or any(sign in host for sign in "/?#@\\ "):
        return False
    if name in ("localhost", *(each.lower() for each in names)):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another site's page made a request; programs say nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    parts = urlsplit(origin) if origin != "null" else None
    return parts is None or parts.netloc.lower() != headers.get("host", "").lower()


def _bearer(headers: Headers) -> str | None:
    kind, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else None


def _with_headers(send: Send, scope: Scope) -> Send:
    """Adds the headers that every answer has, unless it brings its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if scope["path"].startswith("/static/"):
                headers["Cache-Control"] = "no-cache"  # asked for again, and 304 if it is the same
        await send(message)

    return sending


class SlowClientError(Exception):
    """A client sends nothing for too long."""


class _Exchange:
    """Waits for a body only so long, and longer the more of it has come; once it is whole, for as
    long as need be. Of a client that is too slow no answer is sent but that it is: frameworks
    take what went wrong with a body for its content."""

    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        self._receive, self._send, self._seconds = receive, send, seconds
        self._began, self._received, self._whole = time.monotonic(), 0, False
        self.too_slow = self.answered = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        left = self._began + self._seconds + self._received / _SLOWEST_BYTES - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except TimeoutError as error:
            self.too_slow = True
            raise SlowClientError from error
        self._received += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self.too_slow and not self.answered:
            return
        self.answered = True
        await self._send(message)
