"""Whether the desk lives, is ready, and how much it does: for whoever watches it."""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evoked.serve.api import PREFIX
from evoked.serve.api.common import TheDesk, problems
from evoked.serve.problems import RefusalError

router = APIRouter(tags=["health"])
_UPPER = (0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Measures:
    """Counts requests by route, status and time; what they were about is kept nowhere."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answered: Counter[tuple[str, str, int]] = Counter()
        self._within: Counter[tuple[str, float]] = Counter()
        self._seconds: Counter[str] = Counter()

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        with self._lock:
            self._answered[method, route, status] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]
            for upper in _UPPER:
                if seconds <= upper:
                    self._within[route, upper] += 1

    def text(self) -> str:
        """In the format of Prometheus (text, 0.0.4)."""
        with self._lock:
            requests, within = sorted(self._answered.items()), dict(self._within)
            total, seconds = Counter[str](), sorted(self._seconds.items())
        lines = [
            "# HELP evoked_requests_total Requests that were answered.",
            "# TYPE evoked_requests_total counter",
        ]
        for (method, route, status), number in requests:
            total[route] += number
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"evoked_requests_total{{{labels}}} {number}")
        lines += [
            "# HELP evoked_request_seconds How long answers took.",
            "# TYPE evoked_request_seconds histogram",
        ]
        for route, whole in seconds:
            lines += [
                f'evoked_request_seconds_bucket{{route="{route}",le="{upper}"}} '
                f"{within.get((route, upper), 0)}"
                for upper in _UPPER
            ]
            lines += [
                f'evoked_request_seconds_bucket{{route="{route}",le="+Inf"}} {total[route]}',
                f'evoked_request_seconds_sum{{route="{route}"}} {whole:.6f}',
                f'evoked_request_seconds_count{{route="{route}"}} {total[route]}',
            ]
        return "\n".join(lines) + "\n"


class Measuring:
    """ASGI middleware that counts; a route is named by its pattern, so that labels are few."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self.app, self.measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            self.measures.add(
                _method(scope["method"]), _route(scope), status, time.monotonic() - began
            )


def _route(scope: Scope) -> str:
    """The pattern of the address, which says nothing of what was asked for."""
    pattern = getattr(scope.get("route"), "path", None)
    if pattern is None:
        return "other"
    before = PREFIX if scope["path"].startswith(PREFIX) and not pattern.startswith(PREFIX) else ""
    return f"{before}{pattern}"


def _method(method: str) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return method if method in known else "other"


@router.get("/health", summary="Whether the desk lives")
def health() -> JSONResponse:
    """It answers, so it does."""
    return JSONResponse({"status": "ok"})


@router.get("/ready", responses=problems(503), summary="Whether the desk is ready")
def ready(desk: TheDesk) -> JSONResponse:
    """It is once the newest run is loaded; 503 until then."""
    if not desk.warm.is_set():
        raise RefusalError(503, "the newest run is being loaded.")
    return JSONResponse({"status": "ready"})


@router.get("/metrics", responses=problems(), response_class=PlainTextResponse)
def metrics(request: Request, desk: TheDesk) -> PlainTextResponse:
    """Requests and jobs in the format of Prometheus."""
    measures: Measures = request.app.state.measures
    jobs = [
        "# HELP evoked_jobs Jobs by state.",
        "# TYPE evoked_jobs gauge",
        *(f'evoked_jobs{{state="{state}"}} {n}' for state, n in desk.jobs.counts().items()),
    ]
    text = measures.text() + "\n".join(jobs) + "\n"
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
