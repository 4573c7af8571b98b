"""Docstrings of the public API say what each argument is, what is answered, and what is raised.

What numpydoc calls parameters may stand under *Attributes* for classes that are made of their
fields, or in a field's own description. Methods with a single argument may describe it in their
sentence.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString
from site_reference import has_described_fields, public_names

from evoked import errors
from evoked.errors import DataError

SECTIONS = ("Parameters", "Other Parameters", "Attributes")


def functions() -> dict[str, Callable[..., Any]]:
    """The public functions, and the public methods that public classes define."""
    found: dict[str, Callable[..., Any]] = {}
    for name, kind in public_names().items():
        if not inspect.isclass(kind):
            found[name] = kind
            continue
        for method, value in vars(kind).items():
            plain = getattr(value, "__func__", value)
            if inspect.isfunction(plain) and not method.startswith("_") and _is_ours(plain):
                found[f"{name}.{method}"] = plain
    return found


def _is_ours(function: Any) -> bool:
    """Whether a method is written out, where a field that holds a function has another name."""
    return "<lambda>" not in function.__qualname__


def classes() -> dict[str, Any]:
    """The public classes that people make instances of themselves."""
    return {name: kind for name, kind in public_names().items() if inspect.isclass(kind)}


def described(text: str) -> NumpyDocString:
    """A docstring by its sections."""
    return NumpyDocString(text)


def names_in(doc: NumpyDocString, *sections: str) -> list[str]:
    """The names that some sections describe, in order; several may share a description."""
    entries = [entry.name for section in sections for entry in doc[section]]
    return [name.strip(" *") for entry in entries for name in entry.split(",")]


def parameters(function: Callable[..., Any]) -> list[str]:
    """The names of a function's parameters."""
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def problems_of(function: Callable[..., Any], is_method: bool) -> Iterator[str]:
    """What a function's docstring lacks."""
    text = inspect.getdoc(function)
    if not text:
        yield "no docstring"
        return
    doc, own = described(text), parameters(function)
    documented = names_in(doc, "Parameters", "Other Parameters")
    yield from (f"no parameter {name!r}" for name in documented if name not in own)
    if documented or len(own) > 1 or (own and not is_method):
        yield from (f"{name!r} is not described" for name in own if name not in documented)
        if gives_something(function) and not doc["Returns"] and not doc["Yields"]:
            yield "no Returns"
    yield from (f"raises {name} unsaid" for name in raised(function) if name not in text)


def gives_something(function: Callable[..., Any]) -> bool:
    """Whether a function is annotated to return anything."""
    return inspect.signature(function).return_annotation not in ("None", None)


def raised(function: Callable[..., Any]) -> set[str]:
    """The errors that a function's own lines raise."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    names = {call.func.id for call in calls if _named(call)}  # type: ignore[union-attr]
    return {name for name in names if hasattr(errors, name)}


def _named(call: ast.expr | None) -> bool:
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name)


def undescribed(kind: Any) -> list[str]:
    """The arguments of a class that neither its docstring nor its base's describes."""
    texts = [inspect.getdoc(each) or "" for each in kind.__mro__ if each is not object]
    documented = {
        name for text in texts[:-1] or texts for name in names_in(described(text), *SECTIONS)
    }
    fields = getattr(kind, "model_fields", {})
    documented |= {name for name, field in fields.items() if field.description}
    if has_described_fields(kind) and not fields:
        documented |= set(kind.__annotations__)
    return [name for name in _arguments(kind) if name not in documented]


def _arguments(kind: Any) -> list[str]:
    """What a class is called with; nothing where it is made by others alone."""
    if issubclass(kind, Exception) and "__init__" not in vars(kind):
        return []  # a message alone
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(kind).parameters.values()
    return [each.name for each in found if each.kind not in kinds]


@pytest.mark.parametrize("name", functions())
def test_functions_say_what_they_take_give_and_raise(name: str) -> None:
    function = functions()[name]
    is_method = "." in function.__qualname__
    assert not list(problems_of(function, is_method))


@pytest.mark.parametrize("name", classes())
def test_classes_say_what_they_are_made_of(name: str) -> None:
    kind = classes()[name]
    assert (inspect.getdoc(kind) or "").strip()
    assert not undescribed(kind)


def test_what_is_missing_is_found() -> None:
    def careless(first: int, second: int) -> int:
        """Do.

        Parameters
        ----------
        frist
            Mistyped.
        """
        if second:
            raise DataError("never said")
        return first

    assert list(problems_of(careless, False)) == [
        "no parameter 'frist'",
        "'first' is not described",
        "'second' is not described",
        "no Returns",
        "raises DataError unsaid",
    ]
