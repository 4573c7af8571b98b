"""The site's reference: a page for each public name, from its docstring, and one for the desk's
interface for programs, from the description that the desk itself gives."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from reference import as_markdown, docstring, first_sentence, settings_of
from render import markdown_table
from site_models import directive

import evoked

# For whoever adds a model, a task, a reader, an encoder or an analysis of their own; and errors.
MORE_NAMES = (
    "evoked.targets.base.Outcome",
    "evoked.targets.base.Task",
    "evoked.posts.readers.base.Source",
    "evoked.features.encoders.base.ImageEncoder",
    "evoked.features.encoders.base.TextEncoder",
    "evoked.testing.check_model",
    "evoked.testing.check_reader",
    "evoked.testing.check_task",
    "evoked.errors.EvokedError",
    "evoked.errors.DataError",
    "evoked.errors.SettingsError",
)


def public_names() -> dict[str, Any]:
    """Every public object by the name under which people import it; ``evoked.open`` is
    ``evoked.PostDataset``."""
    names = [name for name in evoked.__all__ if name != "open"]
    found = {f"evoked.{name}": getattr(evoked, name) for name in names}
    for path in MORE_NAMES:
        module, _, name = path.rpartition(".")
        found[path] = getattr(__import__(module, fromlist=[name]), name)
    return found


def python_pages() -> Iterator[tuple[str, str]]:
    """A page of all public names, by the package that they come from, and a page of each."""
    by_room: dict[str, list[list[str]]] = {}
    for path, kind in public_names().items():
        yield f"reference/{path}.md", python_page(path, kind)
        room = kind.__module__.split(".")[1]
        shown = f"[`{path}`]({path}.md)"
        by_room.setdefault(room, []).append([shown, first_sentence(inspect.getdoc(kind) or "")])
    parts = [
        f"## {room}\n\n{room_sentence(room)}\n\n{markdown_table(['name', 'what it is'], rows)}"
        for room, rows in by_room.items()
    ]
    yield "reference/index.md", "\n\n".join(["# Python", *parts])


def room_sentence(room: str) -> str:
    """The first sentence of a package, or of a module beside the packages."""
    package = Path(evoked.__file__).parent / room
    return first_sentence(docstring(f"{room}/__init__.py" if package.is_dir() else f"{room}.py"))


def python_page(path: str, kind: Any) -> str:
    """One name: its signature and docstring, and for a class its methods."""
    if has_described_fields(kind):
        skipped = f"exclude-members: {', '.join(kind.__annotations__)}"
        body = f"{field_rows(kind)}\n\n{directive('autoclass', path, 'members', skipped)}"
        return f"# {path}\n\n{body}"
    if inspect.isclass(kind):
        return f"# {path}\n\n{directive('autoclass', path, 'members')}"
    return f"# {path}\n\n{directive('autofunction', path)}"


def has_described_fields(kind: Any) -> bool:
    """Whether the fields of a class carry their descriptions, so that its docstring has none."""
    if getattr(kind, "model_fields", None):
        return True
    if not is_dataclass(kind):
        return False
    written: Mapping[str, Any] = vars(kind)["__annotations__"]
    return all(str(written.get(each.name)).startswith("Annotated[") for each in fields(kind))


def field_rows(kind: Any) -> str:
    """The fields of settings, or of a class whose annotations end in their descriptions."""
    if hasattr(kind, "model_fields"):
        return settings_of(kind)
    annotated = get_type_hints(kind, include_extras=True)
    rows = [
        [f"`{each.name}`", kind_name(annotated[each.name]), annotated[each.name].__metadata__[0]]
        for each in fields(kind)
    ]
    return markdown_table(["argument", "type", "what it is"], rows)


def kind_name(hint: Any) -> str:
    """An annotation without what describes it, and without modules."""
    name = str(get_args(hint)[0]) if hasattr(hint, "__metadata__") else str(hint)
    return f"`{re.sub(r'[a-z_.]+[.](?=[A-Za-z])', '', name)}`"


def http_page() -> str:
    """The desk's interface for programs."""
    return http_markdown(description())


def description() -> Mapping[str, Any]:
    """The OpenAPI description of a desk's interface."""
    from evoked.serve.app import create_app
    from evoked.serve.settings import DeskSettings

    with tempfile.TemporaryDirectory() as folder:
        found: Mapping[str, Any] = create_app(DeskSettings(Path(folder)), worker=False).openapi()
        return found


def http_markdown(described: Mapping[str, Any]) -> str:
    """An OpenAPI description as a page: the requests by subject, then what they send and get."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["the desk itself"])[0]
            by_tag.setdefault(tag, []).append(operation_section(path, method, operation))
    parts = [f"## {tag.capitalize()}\n\n" + "\n\n".join(each) for tag, each in by_tag.items()]
    schemas = [
        schema_section(name, schema) for name, schema in described["components"]["schemas"].items()
    ]
    return "\n\n".join([_HTTP_INTRODUCTION, *parts, "## What is sent and answered", *schemas])


_HTTP_INTRODUCTION = """# HTTP

The interface for programs of [the desk](serving.md), version 1. The page is made of the
description that a desk gives at `/api/v1/openapi.json`. Every error is a `Problem`."""


def operation_section(path: str, method: str, operation: Mapping[str, Any]) -> str:
    """One request: what it does, what it takes, what it answers."""
    heading = f"### {operation['summary']}\n\n`{method.upper()} {path}`"
    text = paragraphs(operation.get("description", ""))
    rows = [
        [f"`{each['name']}`", each["in"], kind_of(each["schema"]), each.get("description", "")]
        for each in operation.get("parameters", ())
    ]
    table = markdown_table(["parameter", "in", "type", "what it says"], rows) if rows else ""
    bodies = operation.get("requestBody", {}).get("content", {})
    sent = [f"Send {shown}." for kind, body in bodies.items() if (shown := content(kind, body))]
    answers = [answer(status, each) for status, each in operation["responses"].items()]
    got = "\n".join(line for line in answers if line)
    return "\n\n".join(part for part in [heading, text, table, *sent, got] if part)


def paragraphs(text: str) -> str:
    """A docstring as Markdown, its paragraphs kept."""
    return "\n\n".join(as_markdown(part) for part in text.split("\n\n"))


def content(kind: str, body: Mapping[str, Any]) -> str:
    """A body by its media type and schema."""
    shown = kind_of(body.get("schema", {}))
    return f"{shown} as `{kind}`" if shown else f"`{kind}`"


def answer(status: str, response: Mapping[str, Any]) -> str:
    """A line of the list of answers."""
    said = response["description"].rstrip(".")
    bodies = response.get("content", {})
    if status.startswith("2"):
        shown = " or ".join(content(kind, body) for kind, body in bodies.items())
        return f"- **{status}** {shown or said}"
    return f"- {status}: {said}"


def schema_section(name: str, schema: Mapping[str, Any]) -> str:
    """One schema: its fields, and an example where it has one."""
    rows = [
        [
            f"`{field}`",
            kind_of(each) + (" (required)" if field in schema.get("required", ()) else ""),
            each.get("description", ""),
        ]
        for field, each in schema.get("properties", {}).items()
    ]
    table = markdown_table(["field", "type", "what it says"], rows) if rows else kind_of(schema)
    examples = schema.get("examples", [])[:1]
    shown = [
        f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```" for example in examples
    ]
    text = paragraphs(schema.get("description", ""))
    parts = [f"({anchor(name)})=\n### {name}", text, table, *shown]
    return "\n\n".join(part for part in parts if part)


def anchor(name: str) -> str:
    """Where a schema stands on the page."""
    return f"schema-{name.lower().replace('_', '-')}"


def kind_of(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with a link where it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(name)})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if choices:
        return " or ".join(dict.fromkeys(kind_of(each) for each in choices))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {})) or 'anything'}"
    return str(schema.get("type", "")) + bounds(schema)


def bounds(schema: Mapping[str, Any]) -> str:
    """The bounds that a value has to keep."""
    signs = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    words = {"minLength": "characters or more", "maxLength": "characters at most"}
    said = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    said += [f"{schema[key]} {word}" for key, word in words.items() if key in schema]
    return f", {', '.join(said)}" if said else ""
