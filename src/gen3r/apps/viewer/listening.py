"""The server before it shows anything. Imports no torch, so that a browser can load the page meanwhile."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import viser

EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where to listen."""

    host: str = "127.0.0.1"
    """Loopback: nobody else can connect. 0.0.0.0 lets everyone in, without a password."""
    port: int = 8080
    """0 takes any free one."""

    def check(self) -> None:
        """Try it.

        Raises:
            ValueError: if the port is taken or the host is not this machine's.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind((self.host, self.port))
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"cannot listen on {self.host} port {self.port}: {error}; name another --port (0 takes any free one) "
                "or --host."
            ) from error


@contextlib.contextmanager
def listening(address: Address) -> Iterator[viser.ViserServer]:
    """A server with an empty page, which stops at the end.

    Raises:
        ValueError: if it cannot listen there.
    """
    address.check()
    with _quiet():
        server = viser.ViserServer(host=address.host, port=address.port, label="Gen3R", verbose=False)
    server.scene.world_axes.visible = False
    server.scene.set_up_direction("-y")
    server.gui.main_panel.dock_right()
    server.gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(40, 110, 255))
    try:
        yield server
    finally:
        with _quiet():
            server.stop()


def url_of(server: viser.ViserServer) -> str:
    """What to open in a browser on this machine."""
    host = server.get_host()
    name = "localhost" if host in (*EVERYWHERE, "127.0.0.1") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{server.get_port()}"


def _quiet() -> contextlib.AbstractContextManager[object]:
    """viser prints a banner, and a line when it stops."""
    return contextlib.redirect_stdout(io.StringIO())
