"""Names in docstrings: a link where the site has a page, else at least a check that they exist.

Docstrings name what they speak of by its module (``evoked.posts.dataset.PostDataset``), and
annotations by what the module imports (``PostDataset``); people import ``evoked.PostDataset``. A
name of ours that has no page stays text if it exists. One that doesn't is a warning, which ends
the build. Names of others are text, since looking them up would fetch their inventories.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Node | None:
    """A link to the name's page, the plain text if there is none, or None where it's unknown."""
    if node.get("refdomain") != "py":
        return None
    target, module = node["reftarget"], home(node["refdoc"]) or node.get("py:module")
    for path in candidates(target, module, node.get("py:class")):
        known = page_of(path)
        entry = env.domains["py"].objects.get(known) if known else None
        if entry is not None:
            name = "#" + entry.node_id
            return reference(app, node, entry.docname, name, text)
        if exists(path):
            return text
    return None


def home(page: str) -> str | None:
    """The module that defines what a page of the reference describes."""
    from site_reference import public_names

    kind = public_names().get(page.rpartition("/")[2])
    return getattr(kind, "__module__", None)


def reference(
    app: Sphinx, node: pending_xref, docname: str, anchor: str, text: nodes.TextElement
) -> nodes.reference:
    """A link within the site."""
    uri = app.builder.get_relative_uri(node["refdoc"], docname) + anchor
    return nodes.reference("", "", text, refuri=uri, internal=True)


def candidates(target: str, module: str | None, owner: str | None) -> Iterator[str]:
    """What a name could mean where it stands, the nearest first."""
    if owner:
        yield f"{module}.{owner}.{target}" if module else f"{owner}.{target}"
    if module:
        yield from (f"{module}.{target}", *imported(module, target))
    yield target


def imported(module: str, name: str) -> Iterator[str]:
    """The full name of what a module imports as ``name``, be it for types alone."""
    first, _, rest = name.partition(".")
    found = imports_of(module).get(first)
    if found:
        yield f"{found}.{rest}" if rest else found


@cache
def imports_of(module: str) -> dict[str, str]:
    """What a module imports, by the name that it has there."""
    try:
        tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    except (ImportError, OSError, TypeError, ValueError):
        return {}
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {each.asname: each.name for each in node.names if each.asname}
    return found


@cache
def page_of(path: str) -> str | None:
    """The name under which the site documents what ``path`` names."""
    from site_reference import public_names

    found = find(path)
    if found is None or found is MISSING:
        return None
    for public, kind in public_names().items():
        if found is kind:
            return public
        if inspect.isclass(kind) and path.rpartition(".")[0]:
            name = path.rpartition(".")[2]
            if find(path.rpartition(".")[0]) is kind and name in dir(kind):
                return f"{public}.{name}"
    return None


MISSING = object()


@cache
def exists(path: str) -> bool:
    """Whether a full name leads to something, in evoked or in what is installed."""
    return find(path) is not MISSING


def find(path: str) -> Any:
    """What a full name leads to, or :data:`MISSING`."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except (ImportError, ValueError):
            continue
        for name in parts[length:]:
            fields = getattr(found, "__annotations__", {}) | getattr(found, "model_fields", {})
            if not hasattr(found, name) and name not in fields:
                return MISSING
            found = getattr(found, name, None)
        return found
    return getattr(__import__("builtins"), path, MISSING)
