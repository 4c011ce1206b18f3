"""The studio's page inside the test's process, asked as a browser asks it."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from apps.anywhere import run_anywhere
from gen3r.apps.studio.api import create_api
from gen3r.apps.studio.service import Studio
from gen3r.apps.studio.ui import mount_ui

SESSION = "abcdefghij"


class AskedPage:
    """A mounted page; nothing of it is shown."""

    def __init__(self, studio: Studio) -> None:
        self.client = TestClient(run_anywhere(_mounted(studio)), raise_server_exceptions=False)
        self.config = self.client.get("/config").json()
        self.components = {item["id"]: item for item in self.config["components"]}
        self.named = {item["props"].get("elem_id"): item["id"] for item in self.config["components"]}

    def dependency(self, target: str | None, event: str) -> dict[str, Any]:
        """What an event of an element starts; no element is the whole page."""
        return next(
            item
            for item in self.config["dependencies"]
            if any(name == event and (target is None or self.named[target] == of) for of, name in item["targets"])
        )

    def use(self, target: str | None, event: str, data: list[Any], event_data: Any = None) -> Any:
        """Start it with these inputs; what comes of it."""
        dependency = self.dependency(target, event)
        asked = {"fn_index": dependency["id"], "data": data, "event_data": event_data, "session_hash": SESSION}
        return self.client.post("/gradio_api/run/predict", json=asked)

    def upload(self, name: str, content: bytes) -> str:
        """Send a file as the browser does; where it is kept until it is used."""
        sent = self.client.post("/gradio_api/upload", files={"files": (name, content)})
        return sent.json()[0]

    def add(self, *paths: str, key: str | None = None) -> list[Any]:
        """Use uploaded files as views: the session, the strip and what was wrong."""
        files = [file_data(path) for path in paths]
        answer = self.use("files", "upload", [key, None, files])
        assert answer.status_code == 200, answer.text
        key, _, strip, _, problems = answer.json()["data"]
        return [key, strip, problems]


async def _mounted(studio: Studio) -> FastAPI:
    return mount_ui(create_api(studio), studio)  # outside of an event loop, gradio makes some and leaves them open


def file_data(path: str | Path) -> dict[str, Any]:
    """How a client names a file to gradio."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}
