"""The pages of the desk: a file per page.

A new page: a file here with ``page``, a line in ``PAGES``, a template that extends ``base.html``,
and its texts in every file of ``texts/``.
"""

from __future__ import annotations

from evoked.serve.pages import (
    audience,
    compare,
    downloads,
    draft,
    drift,
    jobs,
    ledger,
    library,
    login,
    plan,
    start,
    table,
    when,
    works,
)
from evoked.serve.pages.common import Page, show_problem

# In the order of the navigation.
PAGES: tuple[Page, ...] = (
    start.page,
    draft.page,
    table.page,
    when.page,
    plan.page,
    works.page,
    ledger.page,
    audience.page,
    library.page,
    compare.page,
    drift.page,
    downloads.page,
    jobs.page,
    login.page,
)

__all__ = ["PAGES", "Page", "show_problem"]
