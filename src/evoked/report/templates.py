"""Pages from templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_OWN = Path(__file__).parent


def templates(folder: Path = _OWN, **filters: Any) -> Environment:
    """Jinja's environment of the templates in ``folder``: whatever is put into a page is text, and
    what a template names must be there.

    Parameters
    ----------
    folder
        Of the templates; those of this folder and its style.css can be included as well.
    filters
        By the name that templates call them.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, _OWN]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment
