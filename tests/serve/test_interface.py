"""The interface describes itself: an example for everything, lists in parts, answers given once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel

from evoked.serve.api import PREFIX, ROUTERS

SUBJECTS = {
    "GET": "/jobs /jobs/{job} /runs /runs/{run} /datasets /runs/{run}/when /runs/{run}/ledger "
    "/runs/{run}/plan /runs/{run}/drift /compare",
    "POST": "/score /rank /explain /pictures /uploads /readings /imports /tables "
    "/datasets/{dataset}/works /runs/{run}/when /runs/{run}/advise /runs/{run}/ledger "
    "/runs/{run}/plan /runs/{run}/plan/check /runs/{run}/audience /runs/{run}/explain-viewing",
    "DELETE": "/jobs/{job} /runs/{run} /datasets/{dataset}",
}
# What makes something that a second request would make again; files are made anew each time.
FILES = {"/pictures", "/uploads"}


def routes() -> Iterator[APIRoute]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield route


def models() -> dict[str, type[BaseModel]]:
    """What is asked for and answered in JSON."""
    found: dict[str, type[BaseModel]] = {}
    for route in routes():
        annotations = [route.response_model]
        if route.body_field is not None:
            annotations.append(route.body_field.field_info.annotation)
        for each in annotations:
            if isinstance(each, type) and issubclass(each, BaseModel):
                found[each.__name__] = each
    return found


def examples_of(model: type[BaseModel]) -> list[Any]:
    extra = model.model_config.get("json_schema_extra")
    found = extra.get("examples", []) if isinstance(extra, dict) else []
    assert isinstance(found, list)
    return found


def test_every_subject_is_there() -> None:
    known = {(method, route.path) for route in routes() for method in route.methods}
    for method, paths in SUBJECTS.items():
        assert {(method, path) for path in paths.split()} <= known


@pytest.mark.parametrize("name", sorted(models()))
def test_everything_has_an_example_that_fits(name: str) -> None:
    model = models()[name]
    if name.startswith("Body_"):  # files
        return
    if name.startswith("Page["):  # a list: its entries have one
        (entry,) = model.__pydantic_generic_metadata__["args"]
        assert examples_of(entry), name
        return
    assert examples_of(model), name
    for example in examples_of(model):
        read = model.model_validate(example)
        assert set(example) <= set(type(read).model_fields)


def test_the_description_shows_the_examples(desk_client: TestClient) -> None:
    described = desk_client.get(f"{PREFIX}/openapi.json").json()
    schemas = described["components"]["schemas"]
    for path, operations in described["paths"].items():
        if not path.startswith(PREFIX):
            continue
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            reference = content.get("application/json", {}).get("schema", {}).get("$ref")
            if reference is not None:
                assert schemas[reference.rpartition("/")[2]]["examples"], path
            assert operation["summary"], path


def test_what_makes_something_is_done_once_for_a_key() -> None:
    making = [route for route in routes() if route.status_code in (201, 202)]
    assert len(making) >= 7
    for route in making:
        names = {each.alias for each in route.dependant.header_params}
        assert ("Idempotency-Key" in names) != (route.path in FILES), route.path


def test_lists_come_in_parts() -> None:
    paged = set()
    for route in routes():
        names = {each.name for each in route.dependant.query_params}
        assert ("offset" in names) == ("limit" in names), route.path
        if "offset" in names:
            paged.add(route.path)
    assert paged == {"/jobs", "/runs", "/datasets", "/runs/{run}/ledger", "/runs/{run}/drift"}
