"""Where the studio keeps its files. No name in any path comes from a client."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

SCENE = "scene"
PREVIEW = "preview.png"
ARCHIVES = "archives"


def session_id(key: str) -> str:
    """The name of the session of this key: whoever reads the disk does not learn the key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def default_root() -> Path:
    """``$XDG_DATA_HOME/gen3r/studio``, or below ``~/.local/share``."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "gen3r" / "studio"


@dataclass(frozen=True)
class Folders:
    """Paths below the studio's root."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "studio.sqlite"

    @property
    def lock(self) -> Path:
        return self.root / "lock.sqlite"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def page(self) -> Path:
        """Files on their way to and from browsers."""
        return self.root / "page"

    @property
    def sessions(self) -> Path:
        return self.root / "sessions"

    def session(self, session: str) -> Path:
        """All that belongs to one session."""
        return self.sessions / session

    def uploads(self, session: str) -> Path:
        """Files of a session's uploads."""
        return self.session(session) / "uploads"

    def job(self, session: str, job: str) -> Path:
        """All that belongs to one job."""
        return self.session(session) / "jobs" / job

    def attempt(self, session: str, job: str, attempt: int) -> Path:
        """Preview, scene and archives of one attempt at a job."""
        return self.job(session, job) / f"attempt{attempt}"
