"""What the interface says of itself holds: requests made up from its description, right and wrong
ones, are answered in time, without a failure of the desk's own, and as described."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from evoked.posts.dataset import PostDataset
from tests.serve.conftest import QUICK, client_of
from tests.support.desk_runs import desk_run, picture
from tests.support.small_runs import Workshop

schemathesis = pytest.importorskip(
    "schemathesis", reason="needs the extra: pip install 'evoked[dev]'"
)

API = "/api/v1"
HOST = {"Host": "127.0.0.1"}
SECONDS = 60


@pytest.fixture(scope="module")
def known(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A client, and names of what its desk has, by what the description calls them."""
    place = tmp_path_factory.mktemp("conformance")
    run = shutil.copytree(desk_run(workshop, dataset).folder, place / "described")
    shutil.copytree(dataset.folder, place / "desk" / "datasets" / "cafe")
    limits = replace(QUICK, queue=100_000)
    with client_of(place / "desk", run, cache=workshop.cache.folder, limits=limits) as client:
        files = {"files": ("posts.csv", b"caption\nhello\n")}
        upload = client.post(f"{API}/uploads", files=files).json()["upload"]
        brought = {"file": picture(dataset).read_bytes()}
        yield (
            client,
            {
                "run": "described",
                "dataset": "cafe",
                "posts": "cafe",
                "upload": upload,
                "picture": client.post(f"{API}/pictures", files=brought).json()["picture"],
                "job": client.post(f"{API}/readings", json={"upload": upload}).json()["id"],
            },
        )


def with_known(value: Any, names: dict[str, str]) -> Any:
    """What a request says, with names that there are."""
    if isinstance(value, dict):
        return {
            name: names[name] if name in names else with_known(each, names)
            for name, each in value.items()
        }
    return [with_known(each, names) for each in value] if isinstance(value, list) else value


def modes_of(operation: Any) -> list[Any]:
    """Right requests, and wrong ones where something can be wrong: a name in a path can't be."""
    right, wrong = schemathesis.GenerationMode
    return [right, wrong] if len(operation.query) or len(operation.body) else [right]


def check(client: TestClient, names: dict[str, str], cases: int) -> int:
    """Send so many requests, as many to each operation, half of them with names that there are, and
    hold the answers to the description; returns how many were sent."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    held = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    described = schemathesis.openapi.from_asgi(f"{API}/openapi.json", client.app, headers=HOST)
    operations = [each.ok() for each in described.get_all_operations()]
    # What deletes comes last, so that the others find what they name.
    operations.sort(key=lambda each: each.method.upper() == "DELETE")
    rounds = [(each, mode) for each in operations for mode in modes_of(each)]
    sent = 0
    with ThreadPoolExecutor(1) as pool:

        def answer(case: Any, real: bool) -> None:
            nonlocal sent
            sent += 1
            if real:
                for part in ("path_parameters", "query", "body"):
                    setattr(case, part, with_known(getattr(case, part), names))
            answered = pool.submit(case.call, headers=HOST)
            case.validate_response(answered.result(SECONDS), checks=held)

        made_up = settings(
            max_examples=-(-cases // len(rounds)),
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        for operation, mode in rounds:
            case = operation.as_strategy(mode)
            made_up(seed(1)(given(case=case, real=st.booleans())(answer)))()
    return sent


def test_made_up_requests_are_answered_as_described(
    known: tuple[TestClient, dict[str, str]],
) -> None:
    assert check(*known, cases=60) >= 40


@pytest.mark.slow
def test_two_thousand_made_up_requests_are_answered_as_described(
    known: tuple[TestClient, dict[str, str]],
) -> None:
    assert check(*known, cases=2000) >= 1500
