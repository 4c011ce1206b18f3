"""``gen3r studio``: scenes made in the browser, and over HTTP."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.terminal import note, say
from gen3r.extras import Extra

STUDIO = Extra(name="studio", modules=("fastapi", "uvicorn", "python_multipart", "gradio"))
TOKEN_VARIABLE = "GEN3R_STUDIO_TOKEN"
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class StudioCommand:
    """Make scenes in the browser, or over HTTP (docs/api.md): uploads, a queue of jobs, previews, results, history."""

    host: str = "127.0.0.1"
    """Address to listen at. This one is for this machine alone; any other needs --token."""
    port: int = 7860
    """Where to listen; 0 takes any free port."""
    workers: int = 1
    """Processes that make scenes. Each keeps a model of its own in memory."""
    root: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of sessions, jobs and results. Left out, one in the user's data folder: the history survives restarts."""
    token: Annotated[str | None, tyro.conf.arg(metavar="SECRET|auto")] = None
    """Secret that browsers and programs have to show; auto makes one up. The environment's GEN3R_STUDIO_TOKEN does the
    same, unseen by others on this machine."""
    max_queue: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """Jobs that may wait; more are told to come back later."""
    max_upload: Annotated[int, tyro.conf.arg(metavar="MB")] = 200
    """Largest file in megabytes."""
    keep_days: Annotated[float, tyro.conf.arg(metavar="DAYS")] = 30.0
    """Sessions that nobody used for so long are deleted, with their uploads and results."""
    models: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME|DIR ...")] = ()
    """Models to offer: names of gen3r models list that are here already, or model folders. Left out, all that are
    here."""
    device: str = AUTO
    """auto, cpu, cuda or cuda:1; auto takes a GPU if there is one."""
    api_only: bool = False
    """Serve no page, only the API."""
    open_to_all: bool = False
    """Listen beyond this machine without a token. Whoever can reach it can use it."""
    open: bool = False
    """Open the page in a browser."""

    def run(self) -> None:
        """Serve until Ctrl-C.

        Raises:
            ValueError: for a missing extra, an unusable address, root or model.
        """
        STUDIO.require("gen3r studio")

        from gen3r.apps.studio.folders import default_root
        from gen3r.apps.studio.limits import Limits
        from gen3r.apps.studio.server import Address, serve
        from gen3r.apps.studio.service import Studio
        from gen3r.cli.device import resolve_device

        resolve_device(self.device)
        token = self.token or os.environ.get(TOKEN_VARIABLE)
        address = Address(
            host=self.host,
            port=self.port,
            token=secrets.token_urlsafe(24) if token == AUTO else token,
            open_to_all=self.open_to_all,
        )
        studio = Studio(
            default_root() if self.root is None else self.root,
            limits=Limits(queue=self.max_queue, upload_bytes=self.max_upload * 1_000_000, kept_days=self.keep_days),
            models=self.models,
            workers=self.workers,
            device=self.device,
        )
        if not studio.models():
            note("gen3r: note: no model is here; gen3r models download NAME fetches one.")
        try:
            serve(studio, address, page=not self.api_only, ready=self._tell)
        except KeyboardInterrupt:
            say("Closed. What waits is made after the next start.")

    def _tell(self, url: str) -> None:
        say(f"{url}  (Ctrl-C ends it)")
        if self.open:
            import webbrowser

            webbrowser.open(url)
