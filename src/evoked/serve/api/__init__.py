"""The interface for programs, under /api/v1: a file per subject, with a router.

A new subject: a file here with ``router``, and a line in ``ROUTERS``.
"""

from __future__ import annotations

from fastapi import APIRouter

from evoked.serve.api import advice, comparing, drafts, jobs, networks, planning, runs, uploads

ROUTERS: tuple[APIRouter, ...] = (
    drafts.router,
    uploads.router,
    jobs.router,
    runs.router,
    advice.router,
    planning.router,
    networks.router,
    comparing.router,
)
PREFIX = "/api/v1"
