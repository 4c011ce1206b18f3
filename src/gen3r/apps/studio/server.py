"""The studio as a web server: API, page, and the guard before both."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import uvicorn
from starlette.types import ASGIApp

from gen3r.apps.studio.api import create_api
from gen3r.apps.studio.guard import LOOPBACK_NAMES, Guard
from gen3r.apps.studio.service import Studio

JSON_BYTES = 4_000_000
"""Largest JSON request: a drawn path of 10,000 cameras."""
FORM_BYTES = 1_000_000
"""What a form may hold besides its file."""
CLOSING_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server listens, and who may come in."""

    host: str = "127.0.0.1"
    """Interface to listen on."""
    port: int = 7860
    """0 takes any free one."""
    token: str | None = None
    """Secret that clients have to show."""
    open_to_all: bool = False
    """Listen beyond this machine without a token."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"--port expects a number from 0 to 65535, got {self.port}.")
        if self.token is not None and (len(self.token) < 16 or not self.token.isascii() or " " in self.token):
            raise ValueError("--token expects at least 16 ASCII characters without spaces, so that it is not guessed.")
        if not self.is_local and self.token is None and not self.open_to_all:
            raise ValueError(
                f"--host {self.host} lets other machines in; add --token SECRET, or --open-to-all if that is meant."
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def create_app(studio: Studio, address: Address, *, page: bool = True) -> ASGIApp:
    """API, page (where its library is installed and it is wanted), and the guard before both."""
    app = create_api(studio)
    if page and find_spec("gradio") is not None:
        from gen3r.apps.studio.ui import mount_ui

        mount_ui(app, studio)
    return Guard(
        app,
        hosts=(*LOOPBACK_NAMES, address.host) if address.is_local else None,
        token=address.token,
        body_bytes=studio.limits.upload_bytes + FORM_BYTES,
        json_bytes=JSON_BYTES,
        check_page=studio.check_page,
    )


def serve(
    studio: Studio, address: Address, *, page: bool = True, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Run the studio until it is interrupted.

    Args:
        studio: not started yet.
        address: where to listen.
        page: whether there is a page for browsers beside the API.
        ready: called with the address to open once requests are answered.

    Raises:
        ValueError: if the address is taken, or not this machine's.
    """
    try:
        with _listen(address) as listener:
            config = uvicorn.Config(
                create_app(studio, address, page=page),
                log_level=logging.WARNING,
                access_log=False,  # it would hold tokens
                server_header=False,
                timeout_graceful_shutdown=CLOSING_SECONDS,
            )
            studio.start()
            _Server(config, lambda: ready(_url(address, listener.getsockname()[1]))).run(sockets=[listener])
    finally:
        studio.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so once requests are answered."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def _listen(address: Address) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ValueError(
            f"--host {address.host} cannot be listened on ({error}); name an address of this machine."
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ValueError(
            f"port {address.port} of {address.host} cannot be used ({error.strerror}); name another --port."
        ) from error
    return listener


def _url(address: Address, port: int) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"http://{host}:{port}/" + (f"?token={address.token}" if address.token is not None else "")
