"""Bounds on the bodies of requests: small ones for forms, larger ones where files are brought.

A route says which bound it has (:func:`takes`); how large that is, a desk's own limits say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from evoked.serve.settings import Limits

Bound = Literal["picture_bytes", "table_bytes", "export_bytes"]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_MARK = "evoked_body_bound"


def takes(bound: Bound) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function, below the decorator that makes the route, as one that takes bodies
    up to a bound of :class:`~evoked.serve.settings.Limits` instead of ``form_bytes``."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, bound)
        return endpoint

    return mark


def marked_paths(routers: Iterable[tuple[str, APIRouter]]) -> dict[str, Bound]:
    """The bounds of marked routes by their paths.

    Parameters
    ----------
    routers
        The prefix that each is included with, and the router.
    """
    return {
        prefix + route.path: getattr(route.endpoint, _MARK)
        for prefix, router in routers
        for route in router.routes
        if isinstance(route, APIRoute) and hasattr(route.endpoint, _MARK)
    }


class Bounded:
    """ASGI middleware that ends requests whose body is too large with status 413.

    Parameters
    ----------
    app
        What answers.
    limits
        The desk's.
    bounds
        Which bound a path has; others have ``form_bytes``.
    """

    def __init__(self, app: ASGIApp, limits: Limits, bounds: dict[str, Bound]) -> None:
        self.form = RequestBodyLimitMiddleware(app, limits.form_bytes)
        self.marked = {
            path: RequestBodyLimitMiddleware(app, getattr(limits, bound))
            for path, bound in bounds.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.marked.get(scope.get("path", ""), self.form)(scope, receive, send)
