"""Pages from templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_OWN = Path(__file__).parent


def templates(folder: Path = _OWN, **filters: Any) -> Environment:
    """Jinja's environment for the templates in ``folder``: values are escaped, so that they stay
    text, and a name that a template uses without being given it is an error.

    Parameters
    ----------
    folder
        Folder of the templates; those beside this file and its style.css can be included as well.
    filters
        Filters by the name that templates use.
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
