"""What stands before every request: who may ask, from where, and how much they may send."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gen3r.apps.studio.errors import NoSpace, QueueFull

API = "/api/v1"
HEALTH = f"{API}/health"
TOKEN_COOKIE = "gen3r_token"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_API_CONTENT = "default-src 'none'; frame-ancestors 'none'; sandbox"


class BodyTooLarge(HTTPException):
    """More came than may. Frameworks pass their own exceptions on where they would take others for broken bodies."""

    def __init__(self) -> None:
        super().__init__(413, "the request is too large", {"Connection": "close"})


class Guard:
    """ASGI middleware around API and page.

    - The ``Host`` must be one the studio is meant to be reached by, so that no foreign name that resolves to this
      machine (DNS rebinding) makes a browser talk to it.
    - A request that changes something must not come from a page of another origin.
    - With a token, everything but the health endpoint needs it: as bearer, or as the cookie that a visit with
      ``?token=`` leaves.
    - No request may be larger than its limit; nothing beyond it is read. The page, whose uploads belong to no session
      while they come, takes none where there is no room for them.
    - No answer lets pages of other origins read it, whatever the page's library adds, and each carries headers that
      keep browsers from guessing types and other pages from embedding it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: tuple[str, ...] | None,
        token: str | None,
        body_bytes: int,
        json_bytes: int,
        check_page: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        app: what is guarded.
        hosts: names that ``Host`` may give, without port; None allows all.
        token: None lets everybody in.
        body_bytes: largest form, and largest body of any kind sent to the page.
        json_bytes: largest other body sent to the API.
        check_page: asked before the page gets files; raises NoSpace or QueueFull if there is no room.
        """
        self.app, self.hosts, self.token = app, hosts, token
        self.body_bytes, self.json_bytes, self.check_page = body_bytes, json_bytes, check_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        if self.token is not None and (visit := self._visit(scope)) is not None:
            await _redirect(send, *visit)
            return
        if _brings_files(scope):
            try:
                await run_in_threadpool(self.check_page)
            except NoSpace as error:
                await _answer(send, 507, error.problem, error.hint)
                return
            except QueueFull as error:
                await _answer(send, 429, error.problem, error.hint, retry_after=error.retry_after)
                return
        await self._pass(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            return 400, "this studio is not reached under that name", "open the address that gen3r studio printed"
        if scope["method"] not in SAFE_METHODS:
            origin = headers.get("origin")
            foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
            if foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                return 403, "requests from pages of other origins are refused", "use the studio's own page"
        if self.token is not None and scope["path"] != HEALTH and not self._has_token(headers, scope):
            return 401, "a token is needed", "send Authorization: Bearer TOKEN, or open the printed address"
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._most(headers, scope):
            return 413, "the request is too large", "send less"
        return None

    def _has_token(self, headers: Headers, scope: Scope) -> bool:
        assert self.token is not None
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(bearer, self.token):
            return True
        cookie = cookies(headers).get(TOKEN_COOKIE, "")
        asked = "" if scope["path"].startswith(API) else _query(scope).get("token", "")
        return _equal(cookie, token_cookie(self.token)) or _equal(asked, self.token)

    def _visit(self, scope: Scope) -> tuple[str, str] | None:
        """Where to send a browser that came with the token in its address, and the cookie to give it."""
        assert self.token is not None
        query = _query(scope)
        if scope["method"] != "GET" or "token" not in query or scope["path"].startswith(API):
            return None
        rest = urlencode({name: value for name, value in query.items() if name != "token"})
        path = "/" + scope["path"].lstrip("/")
        return path + (f"?{rest}" if rest else ""), token_cookie(self.token)

    def _most(self, headers: Headers, scope: Scope) -> int:
        is_page = not scope["path"].startswith(API)
        return self.body_bytes if is_page or _is_form(headers) else self.json_bytes

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        most, taken, begun = self._most(Headers(scope=scope), scope), 0, False

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise BodyTooLarge
            return message

        async def headed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _add_headers(message, scope["path"])
            await send(message)

        try:
            await self.app(scope, bounded, headed)
        except BodyTooLarge:
            if begun:
                raise
            await _answer(send, 413, "the request is too large", "send less")


def cookies(headers: Headers) -> dict[str, str]:
    """Cookies of a request; none if they cannot be read."""
    try:
        return {name: item.value for name, item in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def token_cookie(token: str) -> str:
    """What a browser keeps in place of the token."""
    return hashlib.sha256(b"gen3r studio " + token.encode()).hexdigest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _is_form(headers: Headers) -> bool:
    return "multipart/" in headers.get("content-type", "").lower()


def _brings_files(scope: Scope) -> bool:
    """Whether this is an upload to the page."""
    return not scope["path"].startswith(API) and _is_form(Headers(scope=scope))


def _name(host: str) -> str:
    """A Host header without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))


def _add_headers(message: Message, path: str) -> None:
    headers = MutableHeaders(scope=message)
    for name in [name for name in headers if name.startswith("access-control-")]:
        del headers[name]
    for name, value in _EVERYWHERE.items():
        headers.setdefault(name, value)
    if path.startswith(API):
        headers.setdefault("Content-Security-Policy", _API_CONTENT)
        headers.setdefault("Cache-Control", "no-store")


async def _answer(send: Send, status: int, problem: str, hint: str, *, retry_after: int | None = None) -> None:
    body = json.dumps({"error": problem, "hint": hint}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")] if status in (413, 429, 507) else []
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    headers += [(b"retry-after", str(retry_after).encode())] if retry_after is not None else []
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    _add_headers(start, API)
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def _redirect(send: Send, where: str, cookie: str) -> None:
    kept = f"{TOKEN_COOKIE}={cookie}; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000"
    headers = [(b"location", where.encode("ascii", "ignore")), (b"set-cookie", kept.encode())]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
