"""What is tried against a desk, and refused."""

from __future__ import annotations

import errno
import http.client
import io
import json
import re
import socket
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from PIL import Image

from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.serve.api import ROUTERS
from evoked.serve.app import create_app
from evoked.serve.desk import Desk
from evoked.serve.jobs import State
from evoked.serve.pages import PAGES
from evoked.serve.places import Places
from evoked.serve.room import folder_bytes
from evoked.serve.security import Rates, is_cross_site, is_known_host, retry_after
from evoked.serve.server import bound
from evoked.serve.settings import DeskSettings, Limits
from evoked.serve.uploads import Uploads, shown_name
from tests.serve.conftest import QUICK, client_of
from tests.support import command_line
from tests.support.desk_runs import picture
from tests.support.small_runs import HOSTILE

API = "/api/v1"
HTML = {"accept": "text/html"}
TOKEN = "a token of many characters"
TRAVERSALS = (
    "..",
    "../..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "C:\\windows",
    "a\x00b",
    ".hidden",
    "x" * 5000,
    "con.picture",
    "{job}",
)


def test_other_hosts_are_refused(desk_client: TestClient) -> None:
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "a b", "@x"):
        answer = desk_client.get("/health", headers={"Host": host})
        assert answer.status_code == 421, host
    for host in ("localhost", "localhost:8765", "127.0.0.1:1", "[::1]:8765", "192.168.0.7"):
        assert desk_client.get("/health", headers={"Host": host}).status_code == 200, host
    assert is_known_host("desk.example.org:80", ("Desk.example.org",))


def test_what_other_sites_send_is_refused(desk_client: TestClient, desk: Desk) -> None:
    before = desk.jobs.all()[1]
    files = [("files", ("posts.csv", b"caption,likes\nhello,3\n"))]
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://localhost:8765"},
    ):
        for path in ("/start", f"{API}/uploads"):
            answer = desk_client.post(path, files=files, headers=headers)
            assert answer.status_code == 403, headers
        assert desk_client.delete(f"{API}/runs/desk-run", headers=headers).status_code == 403
    assert desk.jobs.all()[1] == before
    own = {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-origin"}
    assert desk_client.post(f"{API}/uploads", files=files, headers=own).status_code == 201
    assert not is_cross_site({})  # programs, which say nothing


def test_every_answer_has_the_headers(desk_client: TestClient) -> None:
    for path in ("/", "/draft", "/nothing", "/static/desk.css", f"{API}/runs", "/health"):
        headers = desk_client.get(path, headers={"accept": "text/html"}).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    assert "access-control-allow-origin" not in desk_client.get(f"{API}/runs").headers


def test_pages_hold_no_inline_script_or_style(desk_client: TestClient) -> None:
    for path in ("/", "/draft", "/table", "/library", "/nothing"):
        text = desk_client.get(path, headers={"accept": "text/html"}).text
        assert " style=" not in text
        assert "<style" not in text
        assert "javascript:" not in text
        assert " onclick" not in text
        assert text.count("<script ") == text.count("<script src=") == 2
        assert "//" not in text.replace("https://", "//").split("<main")[0].replace("<!--", "")


def test_another_address_needs_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.0.7", "desk.example.org"):
        with pytest.raises(SettingsError, match="--token-file"):
            create_app(DeskSettings(tmp_path, host=host))
    with pytest.raises(SettingsError, match="16 characters"):
        create_app(DeskSettings(tmp_path, host="0.0.0.0", token="short"))
    for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost"):
        DeskSettings(tmp_path, host=host).check()
    DeskSettings(tmp_path, host="0.0.0.0", token=TOKEN).check()
    assert TOKEN not in repr(DeskSettings(tmp_path, token=TOKEN))


def test_the_token_opens_the_desk_and_nothing_else_does(tmp_path: Path) -> None:
    with client_of(tmp_path / "desk", token=TOKEN) as client:
        assert client.get("/health").status_code == 200
        for path in (f"{API}/runs", "/metrics", "/ready", f"{API}/openapi.json", "/library"):
            assert client.get(path).status_code == 401, path
            assert client.get(f"{path}?token={TOKEN}").status_code == 401, path
        page = client.get("/", headers={"accept": "text/html"}, follow_redirects=False)
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get(f"{API}/runs", headers=bearer).status_code == 200
        for wrong in (TOKEN[:-1], TOKEN + "x", "", "é" * 20):
            answer = client.get(
                f"{API}/runs", headers={"Authorization": f"Bearer {wrong}".encode()}
            )
            assert answer.status_code == 401
            assert TOKEN not in answer.text
        entered = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        cookie = entered.headers["set-cookie"]
        assert TOKEN not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get(f"{API}/runs").status_code == 200
        client.post("/logout")
        assert client.get(f"{API}/runs").status_code == 401
        client.cookies.set("evoked_desk", TOKEN)
        assert client.get(f"{API}/runs").status_code == 401


def test_guessing_tokens_is_slowed(tmp_path: Path) -> None:
    with client_of(tmp_path / "desk", token=TOKEN) as client:
        statuses = [
            client.get(f"{API}/runs", headers={"Authorization": f"Bearer {n:020d}"}).status_code
            for n in range(14)
        ]
        assert statuses == [401] * 10 + [429] * 4
        # Who guesses may not try the form in its place; nor does the right token help then.
        assert client.post("/login", data={"token": "x" * 20}).status_code == 429
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get(f"{API}/runs", headers=right).status_code == 429


def test_requests_of_one_client_are_bounded(tmp_path: Path) -> None:
    limits = Limits(requests=5, per_seconds=3600)
    with client_of(tmp_path / "desk", limits=limits) as client:
        statuses = [client.get("/health").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    rates = Rates(2, 0.2)
    assert [rates.seconds_to_wait("a") == 0 for _ in range(3)] == [True, True, False]
    assert rates.seconds_to_wait("b") == 0
    time.sleep(0.15)
    assert rates.seconds_to_wait("a") == 0


def test_who_is_told_to_wait_is_not_told_too_short_a_time(tmp_path: Path) -> None:
    limits = Limits(requests=1, per_seconds=1.4)
    with client_of(tmp_path / "desk", limits=limits) as client:
        answers = [client.get("/health") for _ in range(2)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"] == "2"
    assert retry_after(0.01) == {"Retry-After": "1"}


def test_names_lead_nowhere_else(desk_client: TestClient, desk: Desk) -> None:
    for name in TRAVERSALS:
        for path in ("runs", "jobs", "pictures", "datasets"):
            answer = desk_client.get(f"{API}/{path}/{name}".replace("\x00", "%00"))
            assert answer.status_code in (404, 405), (path, name)
        assert desk_client.get(f"/runs/{name}/report".replace("\x00", "%00")).status_code == 404
        if name.strip("./"):  # of which the client makes the start page
            assert desk_client.get(f"/static/{name}".replace("\x00", "%00")).status_code == 404
        for body in ({"run": name, "drafts": [{}]}, {"drafts": [{"picture": name}]}):
            assert desk_client.post(f"{API}/score", json=body).status_code in (404, 422)
        for path in ("readings", "imports", "tables"):
            body = {"upload": name} | ({"name": "x"} if path == "imports" else {})
            assert desk_client.post(f"{API}/{path}", json=body).status_code in (404, 422)
        assert desk.uploads.made("0" * 32, name) is None


def test_no_part_of_any_address_leads_elsewhere(tmp_path: Path) -> None:
    """Every route with a name in its address, of pages and interface, by every method."""
    with client_of(tmp_path / "desk") as client:
        (tmp_path / "secret").mkdir()
        for name in ("run.json", "dataset.json", "upload.json", "report.html", "scores.parquet"):
            (tmp_path / "secret" / name).write_text("secret", encoding="utf-8")
        before = sorted(path for path in tmp_path.rglob("*") if "desk.sqlite" not in path.name)
        routers = [(API, router) for router in ROUTERS] + [("", page.router) for page in PAGES]
        routes = [
            (method, prefix + route.path)
            for prefix, router in routers
            for route in router.routes
            if isinstance(route, APIRoute) and "{" in route.path
            for method in route.methods
        ]
        assert len(routes) > 20
        for method, path in routes:
            for name in (*TRAVERSALS, "../../secret", "../secret", "....//secret"):
                # Encoded, as the client itself goes up where it reads "..".
                address = re.sub(r"\{\w+\}", quote(name, safe="").replace(".", "%2e"), path)
                body = {} if method == "GET" else {"data": {"run": name, "dataset": name}}
                answer = client.request(method, address, **body)  # type: ignore[arg-type]
                assert answer.status_code in (303, 404, 405, 422), (method, address)
                assert answer.status_code != 303 or path.endswith("}/delete"), (method, address)
        after = sorted(path for path in tmp_path.rglob("*") if "desk.sqlite" not in path.name)
        assert after == before


def test_a_bomb_in_an_archive_is_not_unpacked(desk: Desk) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("posts.csv", b"caption\n" + bytes(90 * 2**20))
    packed.seek(0)
    upload = desk.uploads.add([("export.zip", packed)])
    assert folder_bytes(desk.uploads.folder / upload.id) < 2**20  # as it was brought
    words = desk.read_upload(upload, {}).steps[0].words
    read = command_line.evoked(*words, fails=True)
    assert "unpack" in read.stderr
    assert "Traceback" not in read.stderr


def test_file_names_become_no_paths(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits(upload_hours=1.0))
    names = ["../../up.csv", "/etc/cron.csv", "..\\win.csv", "up.csv", "UP.CSV", "\u202egpj.csv"]
    upload = uploads.add([(name, io.BytesIO(b"caption\nx\n")) for name in names])
    files = list(upload.source.iterdir())
    assert len(files) == len(names)
    assert all(file.resolve().parent == upload.source.resolve() for file in files)
    assert {path.name for path in tmp_path.iterdir()} == {"uploads"}
    for name in (*TRAVERSALS, HOSTILE, "", "a/b/c\nd.png"):
        shown = shown_name(name)
        assert shown
        assert not set(shown) & set("/\\\x00\n<>&\"'")
        assert shown.strip(".") == shown.rstrip(".").lstrip(".")
        assert len(shown.encode()) <= 120


def test_options_cannot_be_smuggled_into_commands(desk: Desk) -> None:
    upload = desk.uploads.add([("posts.csv", io.BytesIO(b"caption\nx\n"))])
    options = {"author": "--overwrite", "time_zone": "-x", "mapping": {"likes": "--json"}}
    job = desk.import_upload(upload, "--help", options)
    words = job.steps[0].words
    assert words[0] == "import"
    assert {"--author=--overwrite", "--time-zone=-x", "--map=likes=--json"} < set(words)
    assert "--overwrite" not in words
    assert job.facts["dataset"] == "help"
    desk.jobs.cancel(job)


def test_captions_and_names_stay_text(desk_client: TestClient, desk: Desk) -> None:
    """Scripts, templates and attributes in everything that is shown again."""
    hostile = f"{HOSTILE} {{{{ 7*7 }}}} {{% include 'base.html' %}} ${{7*7}}"
    pages = [
        desk_client.post("/draft/variants", data={"caption": hostile}).text,
        desk_client.post("/draft/score", data={"caption": hostile, "author": hostile}).text,
        desk_client.post("/draft/score", data={"caption": "x", "posted_at": hostile}).text,
        desk_client.post("/draft/why", data={"caption": hostile}).text,
        desk_client.get(f"/runs/{hostile[:40].replace('/', '')}/report", headers=HTML).text,
        desk_client.get(f"/draft?run={hostile}&lang={hostile}", headers=HTML).text,
    ]
    upload = desk.uploads.add([(f"{hostile}.csv", io.BytesIO(b"caption\nx\n"))])
    job = desk.jobs.add("reading", hostile, [], {"upload": upload.id, "options": {}})
    pages += [desk_client.get(f"/jobs/{job.id}").text, desk_client.get("/").text]
    for text in pages:
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert " onerror=alert(1)>" not in text
        assert "49" not in text.replace("&#34;", "").split("7*7")[0][-3:]
    desk.jobs.cancel(job)


def test_a_report_may_do_nothing(desk_client: TestClient, desk: Desk) -> None:
    run = desk.run("")
    assert desk_client.get(f"/runs/{run.name}/report").status_code == 404
    (run.folder / "report.html").write_text("<p>report</p>", encoding="utf-8")
    try:
        answer = desk_client.get(f"/runs/{run.name}/report")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]
    finally:
        (run.folder / "report.html").unlink()


def test_runs_from_elsewhere_are_not_deleted(desk_client: TestClient, desk: Desk) -> None:
    run = desk.run("")
    assert desk_client.delete(f"{API}/runs/{run.name}").status_code == 422
    assert (run.folder / "run.json").is_file()


def test_pictures_are_bounded_by_pixels_and_bytes(desk_client: TestClient, tmp_path: Path) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 1_000_000
    for content in (bomb.getvalue(), b"", b"GIF89a", b"<svg onload=alert(1)>", b"%PDF"):
        answer = desk_client.post(f"{API}/pictures", files={"file": ("a.png", content)})
        assert answer.status_code == 422, content[:10]
    large = desk_client.post(f"{API}/pictures", files={"file": ("a.png", b"0" * (33 * 2**20))})
    assert large.status_code == 413


def test_bodies_are_bounded_before_they_are_kept(desk_client: TestClient) -> None:
    long = {"drafts": [{"caption": "x" * 2_000_000}]}
    assert desk_client.post(f"{API}/score", json=long).status_code == 413
    assert desk_client.post("/draft/score", data={"caption": "x" * 2_000_000}).status_code == 413

    def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100_000

    answer = desk_client.post(f"{API}/score", content=endless())
    assert answer.status_code == 413


def test_nobody_is_told_where_things_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ann"))
    runs, data = tmp_path / "elsewhere" / "shop", tmp_path / "desk"
    with client_of(data) as client:
        app: Any = client.app
        desk: Desk = app.state.desk
        upload = desk.uploads.add([("posts.csv", io.BytesIO(b"caption\nhello\n"))])
        job, reading = desk.import_upload(upload, "shop", {}), desk.read_upload(upload, {})
        said = (
            f"{upload.source}: row 3; {desk.jobs.folder(job)}/log.txt; {data}/datasets/a; "
            f"{tmp_path}/home/ann/notes; under {tmp_path}/home/ann."
        )
        shown = "posts.csv: row 3; log.txt; datasets/a; ~/notes; under ~."
        (desk.jobs.folder(job) / "log.txt").write_text(f"Error: {said}\n")
        desk.jobs.end(job, State.failed, said)
        assert client.get(f"{API}/jobs/{job.id}").json()["error"] == shown
        assert shown in [each["error"] for each in client.get(f"{API}/jobs").json()["items"]]
        for path in (f"/jobs/{job.id}", f"/jobs/{job.id}/part"):
            page = client.get(path, headers=HTML).text
            assert page.count(shown) == 2, path
            assert str(tmp_path) not in page
        desk.jobs.output(reading).write_text(
            json.dumps({"notes": [said], "columns": {}, "read": 1})
        )
        desk.jobs.end(reading, State.done)
        result = client.get(f"{API}/jobs/{reading.id}").json()["result"]
        assert result == {"notes": [shown], "columns": {}, "read": 1}
    assert Places(data, [runs]).left_out(f"{runs}/run.json, a/b") == "shop/run.json, a/b"


def test_files_that_were_called_alike_are_told_apart(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits(upload_hours=1.0))
    names = ("one/a.jpg", "two/a.jpg", "three/b.jpg", "posts.csv")
    upload = uploads.add([(name, io.BytesIO(name.encode())) for name in names])
    kept = {path.name: path.read_text() for path in upload.source.iterdir()}
    assert kept == {
        "0-a.jpg": names[0],
        "1-a.jpg": names[1],
        "b.jpg": names[2],
        "posts.csv": names[3],
    }


@pytest.mark.parametrize(
    ("bound", "paths"),
    [
        ("picture_bytes", {f"{API}/pictures": "file", "/draft/picture": "file"}),
        ("table_bytes", {"/table": "files"}),
        ("export_bytes", {f"{API}/uploads": "files", "/start": "files"}),
        ("form_bytes", {f"{API}/score": "drafts", "/draft/score": "caption"}),
    ],
)
def test_every_bound_on_bodies_acts_where_it_should(
    tmp_path: Path, bound: str, paths: dict[str, str]
) -> None:
    everywhere = {
        f"{API}/pictures": "file",
        "/draft/picture": "file",
        "/table": "files",
        f"{API}/uploads": "files",
        "/start": "files",
        f"{API}/score": "drafts",
        "/draft/score": "caption",
    }
    with client_of(tmp_path / "desk", limits=replace(QUICK, **{bound: 1000})) as client:
        for path, field in everywhere.items():
            files = {field: ("posts.csv", b"caption,likes\n" + b"hello,3\n" * 200)}
            answer = client.post(path, files=files)
            assert (answer.status_code == 413) == (path in paths), path
        small = client.post(f"{API}/uploads", files={"files": ("posts.csv", b"caption\nhello\n")})
        assert small.status_code == 201


def test_old_uploads_are_deleted_and_those_of_jobs_kept(tmp_path: Path) -> None:
    import os

    uploads = Uploads(tmp_path, Limits(upload_hours=1.0))
    old, used, new = (uploads.add([("a.csv", io.BytesIO(b"x"))]) for _ in range(3))
    then = time.time() - 2 * 3600
    for upload in (old, used):
        os.utime(uploads.folder / upload.id, (then, then))
    assert uploads.delete_old([used.id]) == 1
    assert [uploads.get(each.id) is not None for each in (old, used, new)] == [False, True, True]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A desk at a port of this machine: what a test client can't be, slow."""
    listening = bound("127.0.0.1", 0)
    settings = DeskSettings(tmp_path_factory.mktemp("live") / "desk", limits=QUICK)
    config = uvicorn.Config(create_app(settings, worker=False), log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(timeout=10)


def test_a_slow_body_is_cut_off_and_others_are_served(live: int) -> None:
    with socket.create_connection(("127.0.0.1", live), timeout=20) as slow:
        slow.sendall(
            b"POST /api/v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        connection = http.client.HTTPConnection("127.0.0.1", live, timeout=10)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        began = time.monotonic()
        answer = slow.recv(4096)
        assert time.monotonic() - began < 10
        assert answer.split(b" ")[1] == b"408"


def test_a_body_that_drips_is_cut_off(live: int) -> None:
    """A byte now and then doesn't keep a request alive."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", live), timeout=20) as slow:
        slow.sendall(
            b"POST /draft/score HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n"
        )
        slow.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - began < 10:
            try:
                slow.sendall(b"a")
                answer = slow.recv(4096)
            except TimeoutError:
                continue
    assert answer.split(b" ")[1] == b"408"
    assert time.monotonic() - began < 8


def test_the_number_of_files_is_bounded_wherever_files_are_brought(tmp_path: Path) -> None:
    with client_of(tmp_path / "desk", limits=replace(QUICK, files=2)) as client:
        for path in ("/start", "/table", f"{API}/uploads"):
            files = [("files", (f"{n}.csv", b"caption\nhello\n")) for n in range(3)]
            answer = client.post(path, files=files)
            assert answer.status_code == 422, path
            assert "at most 2" in answer.text
        assert client.post(f"{API}/uploads", files=files[:2]).status_code == 201


def test_of_what_could_not_be_written_nothing_is_left(
    tmp_path: Path, dataset: PostDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads, content = Uploads(tmp_path, QUICK), picture(dataset).read_bytes()
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", half)
    for keep in (
        lambda: uploads.add_picture(content),
        lambda: uploads.add_made({"words.png": content}),
    ):
        with pytest.raises(DataError, match="disk is full"):
            keep()
        assert list(uploads.folder.iterdir()) == []


def test_what_has_no_room_is_refused_before_it_is_written(
    tmp_path: Path, dataset: PostDataset
) -> None:
    limits = replace(QUICK, disk_bytes=300_000)
    with client_of(tmp_path / "desk", limits=limits) as client:
        table = b"caption\n" + b"x" * 100_000
        files = {"files": ("posts.csv", table)}
        answers = [client.post(f"{API}/uploads", files=files).status_code for _ in range(4)]
        assert answers[0] == 201
        assert answers[-1] == 507
        assert folder_bytes(tmp_path / "desk" / "uploads") <= 300_000
        for path in ("/start", "/table"):
            page = client.post(path, files=files, headers=HTML)
            assert page.status_code == 507
            assert "larger than allowed" in page.text
    small = client_of(tmp_path / "small", limits=replace(QUICK, disk_bytes=1000))
    with small as client:
        brought = {"file": ("a.jpg", picture(dataset).read_bytes())}
        assert client.post(f"{API}/pictures", files=brought).status_code == 507
        assert not (tmp_path / "small" / "uploads").exists()
