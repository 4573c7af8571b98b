"""Making the desk's application: routes, errors, templates, and the guard before them all."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import evoked
from evoked.errors import EvokedError
from evoked.serve import health
from evoked.serve.api import PREFIX, ROUTERS
from evoked.serve.bodies import Bound, Bounded, marked_paths
from evoked.serve.desk import Desk
from evoked.serve.jobs import QueueFullError
from evoked.serve.pages import PAGES, show_problem
from evoked.serve.pages.common import STATIC
from evoked.serve.problems import RefusalError, problem
from evoked.serve.security import GUESSES, Guard, Rates
from evoked.serve.settings import DeskSettings

log = logging.getLogger("evoked.serve")
_SUMMARY = "What a social-media post evokes, and the engagement that follows."


def create_app(settings: DeskSettings, *, worker: bool = True) -> FastAPI:
    """The application of a desk.

    Parameters
    ----------
    settings
        What the desk is started with.
    worker
        Start the process that runs jobs.

    Raises
    ------
    SettingsError
        Others could reach the desk without a token.
    """
    desk, measures = Desk(settings), health.Measures()
    guesses = Rates(GUESSES, 60.0)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk.open(worker=worker)
        yield
        desk.close()

    app = FastAPI(
        title="evoked",
        summary=_SUMMARY,
        version=evoked.__version__,
        docs_url=None,  # which would load scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        lifespan=lifespan,
        middleware=[
            Middleware(Guard, settings=settings, guesses=guesses),
            Middleware(health.Measuring, measures=measures),
            Middleware(Bounded, limits=settings.limits, bounds=_bounds()),
        ],
    )
    app.state.desk, app.state.measures = desk, measures
    app.state.guesses, app.state.pages = guesses, PAGES
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(health.router)
    for page in PAGES:
        app.include_router(page.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _add_handlers(app, desk)
    return app


def _bounds() -> dict[str, Bound]:
    """The bounds on the bodies of all routes, by their paths."""
    pages = [("", page.router) for page in PAGES]
    return marked_paths([*((PREFIX, router) for router in ROUTERS), *pages])


def _add_handlers(app: FastAPI, desk: Desk) -> None:
    """Say every error in the shape of who asked: a page for people, problem details otherwise."""

    @app.exception_handler(RefusalError)
    def refused(request: Request, error: RefusalError) -> Response:
        return _answer(request, error.status, error.detail, headers=error.headers)

    @app.exception_handler(QueueFullError)
    def full(request: Request, error: QueueFullError) -> Response:
        return _answer(request, 429, str(error), headers={"Retry-After": "60"})

    @app.exception_handler(EvokedError)
    def explained(request: Request, error: EvokedError) -> Response:
        return _answer(request, 422, desk.places.left_out(str(error)))

    @app.exception_handler(RequestValidationError)
    def unfit(request: Request, error: RequestValidationError) -> Response:
        # Without the input: a text of somebody's could be long, or no JSON.
        errors = [{"where": _where(each), "why": str(each["msg"])} for each in error.errors()[:20]]
        said = "; ".join(f"{each['where']}: {each['why']}" for each in errors[:3])
        return _answer(request, 422, f"the request doesn't fit: {said}.", errors)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return _answer(request, error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> Response:
        # What it was about stays out of the log: only the kind of error, and where in the code.
        number = uuid.uuid4().hex[:8]
        log.error("error %s: %s", number, _place(error))
        return _answer(request, 500, f"something went wrong; the log has it as {number}.")


def _answer(
    request: Request,
    status: int,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    if request.url.path.startswith(PREFIX) or "text/html" not in request.headers.get("accept", ""):
        answer: JSONResponse = problem(status, detail, errors, headers)
        return answer
    return show_problem(request, status, detail, headers)


def _where(error: Any) -> str:
    return ".".join(str(part)[:60] for part in error["loc"][:8])


def _place(error: BaseException) -> str:
    """The kind of an error, and where in our code it was raised."""
    trace, found = error.__traceback__, []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rpartition('evoked/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(found[::-1][:6])}"
