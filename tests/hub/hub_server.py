"""A hub on loopback: the part of the Hugging Face protocol that huggingface_hub uses to download, with faults to order.

Large files are served as the real hub serves them: a HEAD answers with the hash and a redirect to another host (here
``localhost`` beside ``127.0.0.1``), which then answers ranged GETs.
"""

import hashlib
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

LARGE = (".safetensors", ".pth")
"""Endings of the files in large file storage, whose hash is a SHA-256."""


@dataclass
class Faults:
    """What goes wrong, by pattern of the file's path."""

    drops: dict[str, int] = field(default_factory=dict)
    """How often the connection ends in the middle of the file."""
    resets: dict[str, int] = field(default_factory=dict)
    """How often it is torn down there, so that the client sees an error instead of an end."""
    corrupt: tuple[str, ...] = ()
    """Files that arrive with the right size and a wrong byte."""
    truncated: tuple[str, ...] = ()
    """Files that arrive as if they were shorter."""
    not_served: tuple[str, ...] = ()
    """Files that are listed and then not there."""
    errors: dict[str, int] = field(default_factory=dict)
    """How often a request for the file is answered with 503."""
    seconds: float = 0.0
    """Wait before each answer."""
    gated: tuple[str, ...] = ()
    """Repositories whose terms have to be accepted."""
    locked: tuple[str, ...] = ()
    """Repositories that answer 401 to everyone."""
    astray: tuple[str, ...] = ()
    """Paths that are listed and lie outside the repository."""
    without_sizes: bool = False
    """Answer as a poor mirror, without metadata of files."""


class HubServer:
    """Serves folders as repositories until the ``with`` block ends. Faults may be changed while it runs."""

    def __init__(self, repositories: dict[str, Path], faults: Faults | None = None) -> None:
        self.repositories = repositories
        self.faults = faults or Faults()
        self.commits: dict[str, str] = {}
        """Names of commits that are not to be derived from the files."""
        self.requests: list[tuple[str, str, str]] = []
        """(method, path of the request, its Range header) in the order of their arrival."""
        self.suffered: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()
        self.digests: dict[tuple[Path, int, int], str] = {}
        self.server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def storage(self) -> str:
        """The other host, where large files come from."""
        return f"http://localhost:{self.server.server_port}/storage"

    def __enter__(self) -> "HubServer":
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def files(self, repository: str) -> dict[str, Path]:
        """Files of a repository by their path in it."""
        folder = self.repositories[repository]
        return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}

    def commit(self, repository: str) -> str:
        """Name of the present commit: it changes when a file does."""
        if repository in self.commits:
            return self.commits[repository]
        listing = [(name, self.digest(name, path)) for name, path in self.files(repository).items()]
        return hashlib.sha1(repr((repository, listing)).encode()).hexdigest()

    def digest(self, name: str, path: Path) -> str:
        """The hash the hub states: SHA-256 of a large file, git's SHA-1 of a small one."""
        state = path.stat()
        key = (path, state.st_size, state.st_mtime_ns)
        if key not in self.digests:
            content = path.read_bytes()
            git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            self.digests[key] = hashlib.sha256(content).hexdigest() if name.endswith(LARGE) else git
        return self.digests[key]

    def downloads(self, pattern: str) -> int:
        """How many GETs for matching files have come."""
        files = [path for method, path, _ in self.requests if method == "GET" and not path.startswith("/api/")]
        return sum(fnmatch(path, pattern) for path in files)

    def suffers(self, fault: dict[str, int], kind: str, name: str) -> bool:
        """Whether a fault that happens so many times is due once more."""
        times = max((times for pattern, times in fault.items() if fnmatch(name, pattern)), default=0)
        with self.lock:
            self.suffered[kind, name] += 1
            return self.suffered[kind, name] <= times


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        api, _, rest = path.lstrip("/").partition("/models/")
        stored = path.startswith("/storage/")
        parts = (rest if api == "api" else path.removeprefix("/storage").lstrip("/")).split("/")
        if len(parts) < 4:
            return self.refuse(404, "")
        repository, verb, revision, name = "/".join(parts[:2]), parts[2], parts[3], "/".join(parts[4:])
        time.sleep(self.hub.faults.seconds)
        if repository not in self.hub.repositories:
            return self.refuse(404, "RepoNotFound")
        if repository in self.hub.faults.locked:
            return self.refuse(401, "")
        if repository in self.hub.faults.gated:
            return self.refuse(403, "GatedRepo")
        commit = self.hub.commit(repository)
        if revision not in ("main", commit):
            return self.refuse(404, "RevisionNotFound")
        if api == "api":
            return self.listing(verb, repository, commit)
        return self.file(repository, commit, name, stored)

    def listing(self, verb: str, repository: str, commit: str) -> None:
        entries = []
        for name, path in self.hub.files(repository).items():
            size, digest, large = path.stat().st_size, self.hub.digest(name, path), name.endswith(LARGE)
            lfs = {"size": size, "pointerSize": 134, "oid": digest, "sha256": digest} if large else None
            blob = hashlib.sha1(digest.encode()).hexdigest() if large else digest
            entries.append((name, size, blob, {"lfs": lfs} if large else {}))
        if verb == "tree":
            return self.send_json([{"type": "file", "path": n, "size": s, "oid": b} | lfs for n, s, b, lfs in entries])
        entries += [(name, 1, "0" * 40, {}) for name in self.hub.faults.astray]
        plain = [{"rfilename": name} for name, *_ in entries]
        full = [{"rfilename": n, "size": s, "blobId": b} | lfs for n, s, b, lfs in entries]
        siblings = full if "blobs=" in self.path and not self.hub.faults.without_sizes else plain
        return self.send_json({"id": repository, "sha": commit, "private": False, "siblings": siblings})

    def file(self, repository: str, commit: str, name: str, stored: bool) -> None:
        faults, path = self.hub.faults, self.hub.files(repository).get(name)
        if path is None or any(fnmatch(name, pattern) for pattern in faults.not_served):
            return self.refuse(404, "EntryNotFound", commit)
        if self.hub.suffers(faults.errors, "error", name):
            return self.refuse(503, "", commit)
        content, digest = path.read_bytes(), self.hub.digest(name, path)
        stated = {"X-Repo-Commit": commit, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        if name.endswith(LARGE) and not stored:
            linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            location = f"{self.hub.storage}/{repository}/resolve/{commit}/{name}"
            return self.send(302, b"", stated | linked | {"Location": location})
        if self.command == "HEAD":
            return self.send(200, content, stated)
        if any(fnmatch(name, pattern) for pattern in faults.corrupt):
            content = content[:-1] + bytes([content[-1] ^ 1])
        if any(fnmatch(name, pattern) for pattern in faults.truncated):
            content = content[: len(content) // 2]
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if begin > 0:
            stated |= {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        return self.send(206 if begin > 0 else 200, content[begin:], stated, name)

    def send(self, status: int, content: bytes, headers: dict[str, str], name: str = "") -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        dropped = bool(name) and self.hub.suffers(self.hub.faults.drops, "drop", name)
        reset = bool(name) and not dropped and self.hub.suffers(self.hub.faults.resets, "reset", name)
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if dropped or reset else content)
            self.wfile.flush()
        if dropped or reset:
            self.close_connection = True
        if reset:  # closing with unsent data and no linger sends RST
            time.sleep(0.05)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def send_json(self, content: Any) -> None:
        self.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, code: str, commit: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        headers |= {"X-Repo-Commit": commit} if commit else {}
        self.send(status, b'{"error": "refused"}', headers | {"Content-Type": "application/json"})


def use_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``HF_HUB_CACHE`` and ``HF_HUB_OFFLINE=0`` do: huggingface_hub reads its environment once, at the import."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def point_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``HF_ENDPOINT`` does."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
