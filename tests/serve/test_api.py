"""The interface for programs: the numbers of everywhere, one shape of errors, lists in parts."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from evoked.posts.dataset import PostDataset
from evoked.serve.desk import Desk, rows_of
from tests.support.desk_runs import picture, twenty_drafts

API = "/api/v1"
JSON = {"content-type": "application/json"}


def brought(client: TestClient, path: Path) -> str:
    """The id of a picture that is brought."""
    with path.open("rb") as stream:
        answer = client.post(f"{API}/pictures", files={"file": (path.name, stream)})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["picture"]
    return found


@pytest.fixture(scope="module")
def drafts(desk_client: TestClient, dataset: PostDataset) -> list[dict[str, Any]]:
    """The twenty drafts as the interface takes them."""
    rows = []
    for facts in twenty_drafts(dataset):
        image = facts.pop("image", None)
        if image is not None:
            facts["picture"] = brought(desk_client, Path(image))
        rows.append(facts)
    return rows


def test_drafts_scored_together_have_the_numbers_of_the_scorer(
    desk_client: TestClient, desk: Desk, dataset: PostDataset, drafts: list[dict[str, Any]]
) -> None:
    """test_equal.py holds each alone to the command line, Python and the page."""
    together = desk_client.post(f"{API}/score", json={"drafts": drafts}).json()["scores"]
    assert together == rows_of(desk.scorer("").score(twenty_drafts(dataset)))


def test_a_bad_draft_says_why_and_the_others_are_scored(desk_client: TestClient) -> None:
    rows = [{"caption": "good"}, {"caption": "bad", "posted_at": "soon"}, {"caption": "good"}]
    scores = desk_client.post(f"{API}/score", json={"drafts": rows}).json()["scores"]
    assert [row["error"] is None for row in scores] == [True, False, True]
    assert "not a date" in scores[1]["error"]


def test_rank_orders_drafts_and_says_how_sure_that_is(
    desk_client: TestClient, drafts: list[dict[str, Any]], desk: Desk
) -> None:
    rows = [facts | {"author": "author-1"} for facts in drafts[:3]]
    found = desk_client.post(f"{API}/rank", json={"drafts": rows, "by": "valence"}).json()
    values = [row["valence"] for row in found["drafts"]]
    assert values == sorted(values, reverse=True)
    assert len(found["pairs"]) == 3
    assert found["sentences"]
    wrong = desk_client.post(f"{API}/rank", json={"drafts": rows, "by": "like"})
    assert wrong.status_code == 422
    assert "no number 'like'" in wrong.json()["detail"]


def test_variants_are_said_in_the_words_of_answers(desk_client: TestClient, desk: Desk) -> None:
    """Of an author without known followers there are rates alone: "About 0" says nothing."""
    drafts = [{"caption": text} for text in ("Golden hour over the bay", "A quiet morning")]
    kept = [
        json.dumps({"name": str(number), "draft": facts}) for number, facts in enumerate(drafts, 1)
    ]
    page = html.unescape(desk_client.post("/draft/variants", data={"variant": kept}).text)
    ranking = desk.rank("", drafts, None, 0.8)
    assert ranking.by.basis == "followers"
    assert f"{ranking.noun}</strong>" in page
    amounts = [float(text) for text in re.findall(r"<strong>About ([\d.]+) likes per", page)]
    assert len(amounts) == 2
    assert min(amounts) >= 1


def test_explain_gives_numbers_and_pictures(
    desk_client: TestClient, drafts: list[dict[str, Any]]
) -> None:
    facts = next(facts for facts in drafts if "picture" in facts and "caption" in facts)
    found = desk_client.post(f"{API}/explain", json={"draft": facts}).json()
    assert found["explanation"]["contributions"]["modalities"]
    assert found["pictures"]
    for each in found["pictures"].values():
        drawn = desk_client.get(each["address"])
        assert drawn.headers["content-type"] == "image/png"
        assert drawn.content.startswith(b"\x89PNG")
        assert each["caption"]


def test_errors_have_one_shape(desk_client: TestClient) -> None:
    answers = [
        (404, desk_client.get(f"{API}/runs/none")),
        (404, desk_client.get(f"{API}/nothing")),
        (405, desk_client.put(f"{API}/score")),
        (404, desk_client.post(f"{API}/score", json={"run": "none", "drafts": [{}]})),
        (404, desk_client.post(f"{API}/score", json={"drafts": [{"picture": "0" * 32}]})),
        (422, desk_client.post(f"{API}/score", json={"drafts": []})),
        (422, desk_client.post(f"{API}/score", json={"drafts": [{"capton": "x"}]})),
        (422, desk_client.post(f"{API}/score", content=b"{", headers=JSON)),
        (422, desk_client.post(f"{API}/score", json={"drafts": [{"caption": "x"}] * 201})),
        (422, desk_client.get(f"{API}/jobs?limit=0")),
        (404, desk_client.get(f"{API}/jobs/none/scores.csv")),
    ]
    for status, answer in answers:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) == {"type", "title", "status", "detail", "errors"}
        assert answer.json()["status"] == status
        assert answer.json()["detail"]


def test_lists_come_in_parts(desk_client: TestClient, desk: Desk, tmp_path: Path) -> None:
    with (tmp_path / "posts.csv").open("w+b") as stream:
        stream.write(b"caption,likes\nhello,3\n")
        stream.seek(0)
        upload = desk.uploads.add([("posts.csv", stream)])
    made = [desk.read_upload(upload, {}) for _ in range(3)]
    first = desk_client.get(f"{API}/jobs?limit=2").json()
    second = desk_client.get(f"{API}/jobs?limit=2&offset={first['next']}").json()
    assert first["total"] == second["total"] >= 3
    ids = [job["id"] for job in first["items"] + second["items"]]
    assert len(ids) == len(set(ids))
    assert ids[:3] == [job.id for job in made[::-1]]
    for job in made:
        assert desk_client.delete(f"{API}/jobs/{job.id}").status_code == 422
        assert desk_client.post(f"{API}/jobs/{job.id}/cancel").json()["state"] == "cancelled"
        assert desk_client.delete(f"{API}/jobs/{job.id}").status_code == 204
        assert desk_client.get(f"{API}/jobs/{job.id}").status_code == 404
    last = desk_client.get(f"{API}/runs?offset=5").json()
    assert (last["items"], last["next"]) == ([], None)


def test_the_same_key_makes_one_job(desk_client: TestClient, desk: Desk) -> None:
    files = [("files", ("posts.csv", b"caption,likes\nhello,3\n"))]
    upload = desk_client.post(f"{API}/uploads", files=files).json()["upload"]
    body, headers = {"upload": upload}, {"Idempotency-Key": "reading one"}
    before = desk.jobs.all()[1]
    first, second = (
        desk_client.post(f"{API}/readings", json=body, headers=headers) for _ in range(2)
    )
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert desk.jobs.all()[1] == before + 1
    other = {"upload": upload, "author": "me"}
    assert desk_client.post(f"{API}/readings", json=other, headers=headers).status_code == 422
    desk_client.post(f"{API}/readings", json=body)
    assert desk.jobs.all()[1] == before + 2
    # What failed is no answer: the key can be used again.
    failing = {"Idempotency-Key": "table one"}
    table = {"upload": upload, "run": "none"}
    for _ in range(2):
        assert desk_client.post(f"{API}/tables", json=table, headers=failing).status_code == 404
    for job in desk.jobs.all()[0]:
        desk.jobs.cancel(job)


def test_the_queue_is_bounded(desk_client: TestClient, desk: Desk) -> None:
    files = [("files", ("posts.csv", b"caption,likes\nhello,3\n"))]
    body = {"upload": desk_client.post(f"{API}/uploads", files=files).json()["upload"]}
    answers = [desk_client.post(f"{API}/readings", json=body) for _ in range(desk.limits.queue + 1)]
    assert [answer.status_code for answer in answers] == [202] * desk.limits.queue + [429]
    assert "retry-after" in answers[-1].headers
    for job in desk.jobs.all()[0]:
        desk.jobs.cancel(job)


def test_health_and_metrics(desk_client: TestClient) -> None:
    assert desk_client.get("/health").json() == {"status": "ok"}
    desk_client.get(f"{API}/runs/nobody's")
    text = desk_client.get("/metrics").text
    assert 'evoked_requests_total{method="GET",route="/health",status="200"}' in text
    assert 'route="/api/v1/runs/{run}",status="404"' in text
    assert 'evoked_jobs{state="waiting"}' in text
    for line in text.splitlines():
        assert re.fullmatch(r"# .*|[a-z_]+(\{[^<>]*\})? [0-9.e+-]+", line), line


def test_the_description_is_whole(desk_client: TestClient) -> None:
    described = desk_client.get(f"{API}/openapi.json").json()
    paths = described["paths"]
    for path in ("score", "rank", "explain", "imports", "readings", "tables", "jobs", "runs"):
        assert f"{API}/{path}" in paths
    assert not [path for path in paths if not path.startswith(API)] or set(paths) >= {"/health"}
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation.get("summary"), (method, path)
            if path.startswith(API):
                refused = operation["responses"]["422"]["content"]
                assert "application/problem+json" in refused, (method, path)
    facts = described["components"]["schemas"]["DraftFacts"]
    assert facts["examples"]
    assert all("description" in each for each in facts["properties"].values())


def test_a_picture_is_given_back_without_what_the_camera_noted(
    desk_client: TestClient, dataset: PostDataset
) -> None:
    from PIL import Image

    from evoked.posts.images import load_image

    source = picture(dataset)
    marked = source.with_name("marked.jpg")
    with Image.open(source) as image:
        exif = image.getexif()
        exif[0x010E] = "taken at home"
        image.save(marked, exif=exif)
    try:
        identifier = brought(desk_client, marked)
        kept = desk_client.get(f"{API}/pictures/{identifier}").content
        assert b"taken at home" in marked.read_bytes()
        assert b"taken at home" not in kept
        assert (load_image(kept) == load_image(marked)).all()
    finally:
        marked.unlink()


def test_scores_of_a_table_are_downloaded(
    desk_client: TestClient, desk: Desk, tmp_path: Path
) -> None:
    """As the worker leaves them; formulas stay texts."""
    import io

    from evoked.serve.jobs import State

    with (tmp_path / "drafts.csv").open("w+b") as stream:
        stream.write(b"caption\nhello\n")
        stream.seek(0)
        upload = desk.uploads.add([("drafts.csv", stream)])
    job = desk.score_table(upload, "")
    address = f"{API}/jobs/{job.id}/scores"
    assert desk_client.get(f"{address}.csv").status_code == 404
    table = desk.scorer("").score([{"name": "=1+1", "caption": "hello"}])
    table.to_parquet(desk.jobs.folder(job) / "scores.parquet", index=False)
    desk.jobs.end(job, State.done)
    csv, parquet, xlsx = (
        desk_client.get(f"{address}.{kind}").content for kind in ("csv", "parquet", "xlsx")
    )
    assert pd.read_csv(io.BytesIO(csv))["likes"].tolist() == pytest.approx(
        table["likes"].tolist(), nan_ok=True
    )
    assert pd.read_parquet(io.BytesIO(parquet))["post_id"].tolist() == ["=1+1"]
    assert pd.read_excel(io.BytesIO(xlsx))["post_id"].tolist() == ["'=1+1"]
    assert desk_client.get(f"{address}.exe").status_code == 422
    shown = desk_client.get(f"/jobs/{job.id}").text
    assert "1 rows scored" in shown
    desk.jobs.delete(job)
