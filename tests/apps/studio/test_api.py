"""Every documented operation answers as documented, whatever is sent; errors are JSON with a hint."""

import io
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.studio.asking import ask
from apps.studio.media import HTML, picture
from gen3r.apps.studio.api import SESSION_HEADER, create_api
from gen3r.apps.studio.folders import session_id
from gen3r.apps.studio.guard import API
from gen3r.apps.studio.jobs import JobRequest
from gen3r.apps.studio.service import Studio

JUNK = [
    "0" * 32,
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..\\..\\x",
    "a\0b",
    "scene.json\0.png",
    "\u202egnp.exe",
    "é\u0301\U0001f600",
    "'; DROP TABLE jobs; --",
    "x" * 3000,
    "~root",
    "CON",
    ".",
]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(tmp_path_factory.mktemp("studio"), workers=0, models=["tiny"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def app(studio: Studio) -> FastAPI:
    return create_api(studio)


@pytest.fixture(scope="module")
def session(studio: Studio) -> str:
    return studio.new_session()


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method.upper(), operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_answers_junk_with_a_documented_code(app: FastAPI, session: str) -> None:
    headers = {SESSION_HEADER: session}
    asked = 0
    for path, method, operation in operations(app):
        documented = {int(code) for code in operation["responses"]} | {404, 405}  # junk may name no operation at all
        for junk in JUNK if "{" in path else JUNK[:1]:
            filled = "/".join(quote(junk, safe="") if part.startswith("{") else part for part in path.split("/"))
            for options in ({}, {"content": b"\xff{"}, {"json": [junk]}, {"files": {junk[:20]: b"x"}}):
                if method in ("GET", "DELETE") and options:
                    continue
                answer = ask(app, method, filled, headers=headers, params={"formats": junk}, **options)
                asked += 1
                assert answer.status_code in documented, (method, filled, answer.text)
                if answer.status_code >= 400:
                    assert set(answer.json()) <= {"error", "hint"}, answer.text
    assert asked > 100


def test_every_private_operation_needs_a_session(app: FastAPI) -> None:
    for path, method, operation in operations(app):
        if "sessions" in operation["tags"] or "studio" in operation["tags"]:
            continue
        filled = path.replace("{job}", "0" * 32).replace("{upload}", "0" * 32).replace("{name}", "scene.json")
        for headers in ({}, {SESSION_HEADER: "x"}, {"Cookie": "gen3r_session=" + "A" * 43}, {"Cookie": "\x7f=;;"}):
            valid = {"json": {"prompt": "a"}} if path.endswith("/jobs") else {"files": {"file": picture()}}
            answer = ask(app, method, filled, headers=headers, **(valid if method == "POST" else {}))
            assert answer.status_code == 401, (method, filled, answer.text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(body=st.dictionaries(st.sampled_from(list(JobRequest.model_fields)), JSON, max_size=5) | JSON)
def test_any_json_is_refused_in_json(app: FastAPI, session: str, body: object) -> None:
    answer = ask(app, "POST", f"{API}/jobs", headers={SESSION_HEADER: session}, content=json.dumps(body).encode())
    assert answer.status_code in (404, 422, 503), answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b'{"seed": 1' + b"0" * 5000 + b"}", b'{"prompt": "\\ud800"}', b"\x00", b"NaN"]
)
def test_broken_json_is_refused(app: FastAPI, session: str, content: bytes) -> None:
    answer = ask(app, "POST", f"{API}/jobs", headers={SESSION_HEADER: session}, content=content)
    assert answer.status_code in (400, 422), answer.text


def test_nothing_is_taken_in_without_a_worker(app: FastAPI, session: str) -> None:
    answer = ask(app, "POST", f"{API}/jobs", headers={SESSION_HEADER: session}, json={"prompt": "a room"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert ask(app, "GET", f"{API}/jobs", headers={SESSION_HEADER: session}).json() == []


def test_uploads_come_and_go(app: FastAPI, session: str) -> None:
    headers = {SESSION_HEADER: session}
    sent = ask(app, "POST", f"{API}/uploads", headers=headers, files={"file": ("../x.html", picture(), "text/html")})
    assert sent.status_code == 201
    upload = sent.json()
    assert upload["name"] == "x.png"
    back = ask(app, "GET", f"{API}/uploads/{upload['id']}/file", headers=headers)
    assert (back.content, back.headers["content-type"]) == (picture(), "image/png")
    assert ask(app, "GET", f"{API}/uploads", headers=headers).json() == [upload]
    assert ask(app, "DELETE", f"{API}/uploads/{upload['id']}", headers=headers).status_code == 204
    assert ask(app, "GET", f"{API}/uploads/{upload['id']}/file", headers=headers).status_code == 404
    wrong = ask(app, "POST", f"{API}/uploads", headers=headers, files={"file": ("a.png", HTML, "image/png")})
    assert wrong.status_code == 415


def test_sessions_do_not_see_each_other(app: FastAPI, studio: Studio, session: str) -> None:
    mine = {SESSION_HEADER: session}
    upload = studio.add_upload(session, io.BytesIO(picture()), "a.png")
    # there is no worker, without which the studio itself takes nothing in
    job = studio._store.submit(session_id(session), uuid.uuid4().hex, JobRequest(uploads=[upload.id]))
    begun = ask(app, "POST", f"{API}/sessions")
    assert begun.status_code == 201
    other = {SESSION_HEADER: begun.json()["session"]}
    by_cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
    assert "HttpOnly" in begun.headers["set-cookie"]
    assert ask(app, "GET", f"{API}/jobs/{job.id}", headers=mine).json()["state"] == "queued"
    for headers in (other, by_cookie):
        assert ask(app, "GET", f"{API}/jobs", headers=headers).json() == []
        for method, path in (
            ("GET", f"jobs/{job.id}"),
            ("POST", f"jobs/{job.id}/cancel"),
            ("DELETE", f"jobs/{job.id}"),
            ("GET", f"jobs/{job.id}/preview"),
            ("GET", f"jobs/{job.id}/files/scene.json"),
            ("GET", f"jobs/{job.id}/archive"),
            ("GET", f"jobs/{job.id}/repeat"),
            ("GET", f"uploads/{upload.id}/file"),
            ("DELETE", f"uploads/{upload.id}"),
        ):
            assert ask(app, method, f"{API}/{path}", headers=headers).status_code == 404, (method, path)
        theft = ask(app, "POST", f"{API}/jobs", headers=headers, json={"uploads": [upload.id]})
        assert theft.status_code == 404
    assert ask(app, "DELETE", f"{API}/jobs/{job.id}", headers=mine).status_code == 409
    assert ask(app, "POST", f"{API}/jobs/{job.id}/cancel", headers=mine).json()["state"] == "cancelled"
    assert (
        ask(app, "GET", f"{API}/jobs/{job.id}/repeat", headers=mine)
        .json()["command"]
        .startswith("gen3r generate a.png")
    )
    assert ask(app, "DELETE", f"{API}/jobs/{job.id}", headers=mine).status_code == 204


def test_the_key_of_a_session_is_nowhere_on_the_disk(studio: Studio, session: str) -> None:
    files = [path for path in studio.folders.root.rglob("*") if path.is_file()]
    assert files
    assert not any(session.encode() in path.read_bytes() for path in files)
    assert not any(session in str(path) for path in files)


def test_the_page_of_operations_is_complete_and_loads_nothing(app: FastAPI) -> None:
    page = ask(app, "GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path, _, _ in operations(app):
        assert path in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_folder_that_others_read_tells_them_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "sessions").mkdir(mode=0o755)
    with Studio(tmp_path, workers=0, models=["tiny"]) as studio:
        studio.new_session()
        readable = {path.name for path in tmp_path.iterdir() if path.stat().st_mode & 0o077}
    assert readable <= {"lock.sqlite", "lock.sqlite-journal"}  # they hold nothing
    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o700


def test_forgotten_sessions_take_their_files_with_them(tmp_path: Path) -> None:
    with Studio(tmp_path / "studio", workers=0, models=["tiny"]) as studio:
        key = studio.new_session()
        studio.add_upload(key, io.BytesIO(picture()))
        (folder,) = studio.folders.sessions.iterdir()
        for name, age in ((".old.partial", 100_000), (".new.partial", 0)):
            rest = folder / "uploads" / name
            rest.touch()
            os.utime(rest, (time.time() - age,) * 2)
        studio.tidy()
        assert {path.suffix for path in (folder / "uploads").iterdir()} == {".png", ".partial"}
        assert not (folder / "uploads" / ".old.partial").exists()
        studio._store.forget_sessions(float("inf"))
        studio.tidy()
        assert list(studio.folders.sessions.iterdir()) == []
        assert not studio.has_session(key)
        with pytest.raises(ValueError, match="another studio"):
            Studio(tmp_path / "studio", workers=0, models=["tiny"])
