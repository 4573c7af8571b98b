"""Tables of words and names that come with the readers, as YAML."""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def packaged(name: str) -> Any:
    """The content of a YAML file beside this one, such as ``words.yaml``."""
    import yaml

    text = files("evoked.posts.readers").joinpath(name).read_text("utf-8")
    # The parser in C, where it is there, takes a seventh of the time; both make only plain values.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
