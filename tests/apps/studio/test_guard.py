"""Who may ask, from where, and how much may be sent."""

import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from apps.studio.asking import ask
from gen3r.apps.studio.guard import API, HEALTH, LOOPBACK_NAMES, TOKEN_COOKIE, Guard
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.server import Address
from gen3r.apps.studio.service import Studio

TOKEN = "a-secret-of-some-length"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


def guarded(
    token: str | None = None,
    hosts: tuple[str, ...] | None = LOOPBACK_NAMES,
    check_page: Callable[[], None] = lambda: None,
) -> Guard:
    inner = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST", "DELETE"])])
    return Guard(inner, hosts=hosts, token=token, body_bytes=500, json_bytes=100, check_page=check_page)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:7860", "[::1]:7860", "LOCALHOST"])
def test_the_machine_itself_may_ask(host: str) -> None:
    assert ask(guarded(), "GET", "/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "[", "127.0.0.1@evil"])
def test_foreign_names_are_refused(host: str) -> None:
    assert ask(guarded(), "GET", "/", headers={"Host": host}).status_code == 400
    assert ask(guarded(hosts=None), "GET", "/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_pages_of_other_origins_change_nothing(method: str) -> None:
    own = {"Host": "127.0.0.1:7860", "Origin": "http://127.0.0.1:7860", "Sec-Fetch-Site": "same-origin"}
    assert ask(guarded(), method, "/", headers=own).status_code == 200
    for change in (
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert ask(guarded(), method, "/", headers=own | change).status_code == 403


def test_a_token_is_asked_for_everywhere_but_at_the_health_endpoint() -> None:
    app = guarded(TOKEN)
    assert ask(app, "GET", HEALTH).status_code == 200
    for path in ("/", "/docs", f"{API}/jobs", f"{HEALTH}/../jobs", f"{HEALTH}/x", f"{HEALTH}/"):
        assert ask(app, "GET", path).status_code == 401
        for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", "é" * 9):
            headers = {"Authorization": f"Bearer {wrong}".encode()}
            assert ask(app, "GET", path, headers=headers).status_code == 401
        assert ask(app, "GET", path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    refused = ask(app, "GET", "/")
    assert refused.json().keys() == {"error", "hint"}
    assert TOKEN not in refused.text


def test_a_visit_with_the_token_leaves_a_cookie_that_does_not_tell_it() -> None:
    app = guarded(TOKEN)
    visit = ask(app, "GET", f"//evil.example/?token={TOKEN}&theme=dark")
    assert visit.status_code == 303
    assert visit.headers["location"].startswith("/")
    assert not visit.headers["location"].startswith("//")
    assert TOKEN not in visit.headers["location"]
    cookie = visit.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie
    kept = cookie.partition(";")[0]
    assert ask(app, "GET", "/", headers={"Cookie": kept}).status_code == 200
    assert ask(app, "GET", "/", headers={"Cookie": f"{TOKEN_COOKIE}=x"}).status_code == 401
    assert ask(app, "GET", "/?token=wrong").status_code == 401
    assert ask(app, "GET", f"{API}/jobs?token={TOKEN}").status_code == 401


def test_bodies_are_bounded_whether_they_tell_their_size_or_not() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(100)

    app = guarded()
    assert ask(app, "POST", "/", content=bytes(500)).text == "500 bytes"
    for body in (bytes(501), pieces()):
        refused = ask(app, "POST", "/", content=body)
        assert refused.status_code == 413
    assert ask(app, "POST", f"{API}/jobs", content=bytes(101)).status_code == 413
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    assert ask(app, "POST", f"{API}/uploads", content=bytes(500), headers=multipart).status_code == 200
    assert ask(app, "POST", f"{API}/uploads", content=bytes(501), headers=multipart).status_code == 413


@pytest.mark.parametrize("origin", ["http://localhost:9999", "http://127.0.0.1:9999", "http://evil.example"])
def test_pages_of_other_origins_read_nothing(origin: str) -> None:
    app = guarded()
    app.app = CORSMiddleware(app.app, allow_origin_regex=".*", allow_methods=["*"], allow_credentials=True)
    preflight = {"Access-Control-Request-Method": "POST"}
    for method, headers in (("GET", {}), ("OPTIONS", preflight)):
        answer = ask(app, method, "/config", headers={"Origin": origin} | headers)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(("limits", "code"), [({"free_bytes": 10**18}, 507), ({"page_bytes": 3}, 429), ({}, 200)])
def test_the_page_takes_no_files_without_room(limits: dict[str, int], code: int, tmp_path: Path) -> None:
    kept = tmp_path / "page" / "left by a studio that died"
    kept.parent.mkdir()
    kept.touch()
    with Studio(tmp_path, workers=0, models=["tiny"], limits=Limits(**limits)) as studio:
        assert not kept.exists()
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("four")
        app = guarded(check_page=studio.check_page)
        form = {"Content-Type": "Multipart/form-data; boundary=x"}
        answer = ask(app, "POST", "/gradio_api/upload", content=b"x", headers=form)
        assert (answer.status_code, "retry-after" in answer.headers) == (code, code == 429)
        assert ask(app, "POST", f"{API}/uploads", content=b"x", headers=form).status_code == 200
        studio.tidy()
        assert kept.exists()
        os.utime(kept, (time.time() - 100_000,) * 2)
        studio.tidy()
        assert not kept.exists()


def test_every_answer_tells_browsers_not_to_guess() -> None:
    for path in ("/", f"{API}/jobs"):
        headers = ask(guarded(), "GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["referrer-policy"] == "no-referrer"
    assert "sandbox" in ask(guarded(), "GET", f"{API}/jobs").headers["content-security-policy"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "studio.example"])
def test_listening_beyond_this_machine_needs_a_token_or_a_clear_word(host: str) -> None:
    with pytest.raises(ValueError, match="--token"):
        Address(host=host)
    assert not Address(host=host, token=TOKEN).is_local
    assert not Address(host=host, open_to_all=True).is_local


def test_weak_tokens_and_wrong_ports_are_refused() -> None:
    for token in ("short", "with spaces in it and long", "ü" * 20):
        with pytest.raises(ValueError, match="--token expects"):
            Address(token=token)
    with pytest.raises(ValueError, match="--port expects"):
        Address(port=70_000)
    assert Address().is_local
