"""Tables of words and names that come with the readers, as YAML."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from evoked.files import parse_yaml


def packaged(name: str) -> Any:
    """The content of a YAML file beside this one, such as ``words.yaml``."""
    return parse_yaml(files("evoked.posts.readers").joinpath(name).read_text("utf-8"))
