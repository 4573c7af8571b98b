"""Objects of JSON as rows of a table: their values by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evoked.posts.readers.names import recognise

MAX_DEPTH = 10
"""How deep objects are looked into."""

_MAX_COLUMNS = 2000
# What each of several objects is called, such as a hashtag or a mentioned account.
_CALLED = (
    "name", "tag", "tag_name", "hashtagName", "hashtag_name", "username", "screen_name", "text",
    "title", "display_name",
)  # fmt: skip
_ACCOUNTS = ("username", "screen_name", "unique_id", "uniqueId", "handle", "acct")


def flatten(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object's values by path, such as ``owner.followers``.

    Lists of named objects become lists of their names, and the figures of a Graph API's insights
    become values by name.

    Examples
    --------
    >>> flatten({"owner": {"followers": 3}, "hashtags": [{"name": "tea"}]})
    {'owner.followers': 3, 'hashtags': ['tea']}
    >>> flatten({"insights": {"data": [{"name": "reach", "values": [{"value": 7}]}]}})
    {'insights.data.reach': 7}
    """
    flat: dict[str, Any] = {}
    _flatten_into(flat, value, "", 1)
    return flat


def named_fields(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one object, by the names in it."""
    flat = flatten(value)
    mapping = recognise(list(flat), {name: [cell] for name, cell in flat.items()}).mapping
    return {name: flat[column] for name, column in mapping.items() if flat[column] is not None}


def _flatten_into(flat: dict[str, Any], value: Mapping[str, Any], path: str, depth: int) -> None:
    for key, item in value.items():
        inner = _without_type(_objects_as_one(key, item))
        if isinstance(inner, dict) and inner and depth < MAX_DEPTH:
            _flatten_into(flat, inner, f"{path}{key}.", depth + 1)
        elif len(flat) < _MAX_COLUMNS:
            # No edges, and an empty object, mean that there is nothing.
            nothing = inner == {} or (key == "edges" and inner == [])
            flat[f"{path}{key}"] = None if nothing else _names_of(inner, f"{path}{key}")


def _objects_as_one(key: str, value: Any) -> Any:
    """A list of figures by name as an object, and of a list of edges the first."""
    if not isinstance(value, list) or not value or not all(isinstance(x, dict) for x in value):
        return value
    if key == "edges":
        return {"0": value[0]}
    if all("name" in each and ("values" in each or "value" in each) for each in value):
        return {str(each["name"]): _figure(each) for each in value}
    return value


def _without_type(value: Any) -> Any:
    """A value that a database wrote with its type, such as ``{"$numberLong": "5"}``, itself."""
    while isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
        value = next(iter(value.values()))
    return value


def _figure(item: Mapping[str, Any]) -> Any:
    values = item.get("values")
    first = values[0] if isinstance(values, list) and values else item
    return first.get("value") if isinstance(first, dict) else first


def _text_of(parts: list[Any]) -> str:
    """The text of plain parts and of parts with a kind, such as a hashtag's; "" if it is none."""
    texts = [each.get("text") if isinstance(each, dict) else each for each in parts]
    plain = [text for text in texts if isinstance(text, str)]
    is_rich = any(isinstance(each, dict) for each in parts)
    return "".join(plain) if is_rich and len(plain) == len(parts) else ""


def _names_of(value: Any, path: str) -> Any:
    """What the objects of a list are called, if all have a name; a text, if they are its parts."""
    if not isinstance(value, list) or not value:
        return value
    if not all(isinstance(x, dict) for x in value):
        return _text_of(value) or value
    are_people = "mention" in path.casefold()
    for key in (*_ACCOUNTS, *_CALLED) if are_people else _CALLED:
        names = [each[key] for each in value if isinstance(each.get(key), str)]
        if len(names) == len(value) or ("hashtag" in path.casefold() and names):
            return names
    return value
