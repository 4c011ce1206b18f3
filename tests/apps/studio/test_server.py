"""The whole studio as a process: mixed requests, killed workers, a killed server, and what is left."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from apps.studio.media import HTML, PLAYLIST, SVG, archive, bomb, picture, turned_picture, video
from apps.studio.serving import Served, is_alive, wait_until
from gen3r.cli.main import main

ROOT = Path(__file__).parents[3]
API = "/api/v1"
HEADER = "X-Gen3R-Session"
ENDED = {"done", "failed", "cancelled"}
OPTIONS = ("--models", "tiny", "--max-queue", "7", "--max-upload", "1")
QUICK = {"prompt": "a room", "frames": 1, "steps": 1}
LONG = {"prompt": "a room", "frames": 1, "steps": 200, "seed": 1}
REQUESTS = 200

OURS = re.compile(
    r"(studio\.sqlite(-wal|-shm)?|lock\.sqlite(-journal)?|logs/worker\d\.log"
    r"|sessions/[0-9a-f]{32}/uploads/[0-9a-f]{32}\.(png|jpg|webp|mp4)"
    r"|sessions/[0-9a-f]{32}/jobs/[0-9a-f]{32}/attempt\d/(preview\.png|archives/[a-z0-9+]+\.zip"
    r"|scene/(scene\.(safetensors|json|glb)|cameras\.json|points\.ply|preview\.png|(rgb|depth)\.mp4"
    r"|(depth|views)/frame\d{5}\.png)))"
)
"""All that may be in the studio's folder."""

TRICKS = (
    "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/studio.sqlite", "/etc/passwd",
    "..\\..\\studio.sqlite", "scene.json%00.png", "\u202egnp.exe", "....//....//etc/passwd", "views/../../preview.png",
    "./scene.json", "scene.json/", "~/x", "SCENE.JSON", "file:///etc/passwd",
)  # fmt: skip
CONTENTS = {
    "page.png": HTML, "drawing.png": SVG, "archive.png": archive(), "list.mp4": PLAYLIST, "bomb.png": bomb(),
    "cut.png": picture()[:-99], "empty.png": b"", "large.png": b"\x89PNG\r\n\x1a\n" + bytes(1_500_000),
    "huge.png": bytes(5_000_000),
}  # fmt: skip


class Clients:
    """Two sessions that ask for sound and unsound things; knows which jobs were taken in."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.sessions = [served.client.post(f"{API}/sessions").json()["session"] for _ in range(2)]
        self.accepted: dict[str, int] = {}
        self.codes: list[int] = []
        self.random = random.Random(0)

    def ask(self, who: int, method: str, path: str, **options: object) -> httpx.Response:
        answer = self.served.client.request(method, f"{API}/{path}", headers={HEADER: self.sessions[who]}, **options)
        self.codes.append(answer.status_code)
        assert answer.status_code < 500, (method, path, answer.text)
        if answer.status_code >= 400:
            assert set(answer.json()) == {"error", "hint"}
            assert str(self.served.root) not in answer.text
        return answer

    def submit(self, who: int, **fields: object) -> httpx.Response:
        answer = self.ask(who, "POST", "jobs", json=fields)
        if answer.status_code == 202:
            self.accepted[answer.json()["id"]] = who
        return answer

    def upload(self, who: int, name: str, content: bytes) -> httpx.Response:
        return self.ask(who, "POST", "uploads", files={"file": (name, content, "image/png")})

    def states(self) -> dict[str, dict]:
        found = {job["id"]: job for who in range(2) for job in self.ask(who, "GET", "jobs").json()}
        assert set(found) == set(self.accepted)
        return found

    def something(self) -> None:
        """Any request, sound or not."""
        who = self.random.randrange(2)
        job = self.random.choice([*self.accepted, "0" * 32])
        mine = self.accepted.get(job) == who
        trick, name = self.random.choice(TRICKS), self.random.choice(list(CONTENTS))
        kind = self.random.randrange(8)
        if kind == 0:
            assert self.upload(who, self.random.choice(TRICKS), CONTENTS[name]).status_code in (413, 415, 422)
        elif kind == 1:
            assert self.ask(who, "GET", f"jobs/{job}/files/{quote(trick, safe='')}").status_code == 404
        elif kind == 2:
            assert self.ask(who, "GET", f"jobs/{quote(trick, safe='')}").status_code == 404
        elif kind == 3:
            assert self.ask(who, "GET", f"jobs/{job}").status_code == (200 if mine else 404)
        elif kind == 4:
            unsound = self.random.choice([{"frames": 4}, {"model": trick}, {"uploads": [trick]}, {"steps": 10**6}])
            assert self.submit(who, **({"prompt": "a"} | unsound)).status_code == 422
        elif kind == 5:
            assert self.ask(who, "POST", "jobs", content=CONTENTS[name][:9999]).status_code in (400, 422)
        elif kind == 6 and self.random.random() < 0.3:
            assert self.ask(who, "POST", f"jobs/{job}/cancel").status_code == (200 if mine else 404)
        else:
            formats = self.random.choice(["../x", "ply,../../x", "", "ply,ply,,"])
            answer = self.ask(who, "GET", f"jobs/{job}/archive", params={"formats": formats})
            assert answer.status_code in ((409, 422) if mine else (404,))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def clients(place: Path) -> Iterator[Clients]:
    """The state after mixed requests with a killed worker and a killed server: a studio that runs, and all it took."""
    served = Served(place / "studio", place / "home", *OPTIONS)
    try:
        clients = Clients(served)
        upload = clients.upload(0, "../../photo.html", turned_picture()).json()["id"]
        clip = clients.upload(0, "clip.avi", video(place / "clip.mp4")).json()["id"]
        (place / "clip.mp4").unlink()
        assert clients.submit(0, **LONG).status_code == 202
        for change in ({"uploads": [upload]}, {"size": [100, 100]}, {}):
            assert clients.submit(0, **(QUICK | change)).status_code == 202
        assert clients.submit(0, kind="reconstruct", uploads=[clip], frames=2).status_code == 202
        assert clients.submit(0, **QUICK).status_code == 429  # this session's share
        while (answer := clients.submit(1, **QUICK)).status_code == 202:
            pass
        assert answer.status_code == 429  # the whole queue
        assert int(answer.headers["retry-after"]) > 0
        assert 7 <= len(clients.accepted) <= 8

        long = next(iter(clients.accepted))
        for count in range(REQUESTS):
            if count == 70:
                wait_until(lambda: clients.states()[long]["done"] > 2, "the long job runs")
                (worker,) = served.worker_pids()
                os.kill(worker, signal.SIGKILL)
            if count == 140:
                wait_until(lambda: clients.states()[long]["done"] > 2, "the long job runs again")
                assert clients.states()[long]["has_preview"]
                (worker,) = served.worker_pids()
                served.kill()
                wait_until(lambda worker=worker: not is_alive(worker), "the worker ends with its server", 10)
                served = clients.served = Served(place / "studio", place / "home", *OPTIONS)
            clients.something()
        for job in (long, *[job for job, who in clients.accepted.items() if who == 1][1:]):
            clients.ask(clients.accepted[job], "POST", f"jobs/{job}/cancel")
        yield clients
    finally:
        served.kill()


def test_none_is_lost_and_none_is_stuck(clients: Clients) -> None:
    wait_until(lambda: all(job["state"] in ENDED for job in clients.states().values()), "every job ends")
    jobs = list(clients.states().values())
    assert len(clients.codes) > REQUESTS
    assert {job["state"] for job in jobs} == ENDED
    for job in jobs:
        assert job["finished"] >= job["created"]
        assert (job["error"] is None) == (job["state"] != "failed")
        assert bool(job["results"]) == (job["state"] == "done")
    (refused,) = [job for job in jobs if job["state"] == "failed"]
    assert "must be a multiple of 112" in refused["error"]


def test_results_are_whole(clients: Clients) -> None:
    done = [job for job in clients.states().values() if job["state"] == "done"]
    job = next(job for job in done if job["request"]["uploads"])
    who = clients.accepted[job["id"]]
    for name in job["results"]:
        sent = clients.ask(who, "GET", f"jobs/{job['id']}/files/{quote(name)}")
        assert sent.status_code == 200
        assert sent.headers["content-type"].split("/")[0] != "text"
        assert sent.headers["x-content-type-options"] == "nosniff"
        assert clients.ask(1 - who, "GET", f"jobs/{job['id']}/files/{quote(name)}").status_code == 404
    assert sent.headers["content-length"] == str(len(sent.content))
    packed = clients.ask(who, "GET", f"jobs/{job['id']}/archive", params={"formats": "ply,cameras,tum"})
    with zipfile.ZipFile(BytesIO(packed.content)) as members:
        assert members.testzip() is None
        assert {"points.ply", "cameras.json"} < set(members.namelist())
        original = clients.ask(who, "GET", f"jobs/{job['id']}/files/points.ply").content
        assert members.read("points.ply") == original


def test_nothing_is_outside_its_folder(clients: Clients, place: Path) -> None:
    root = place / "studio"
    files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    strangers = [name for name in files if not OURS.fullmatch(name)]
    assert strangers == []
    assert len({name.split("/")[1] for name in files if name.startswith("sessions/")}) <= 2
    assert {path.name for path in place.iterdir()} == {"studio", "home"}
    assert not any("escaped" in path.name for path in place.rglob("*"))
    assert root.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_the_document_works(clients: Clients, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    text = text.replace("http://127.0.0.1:7860", clients.served.url[:-1])
    shutil.copy(ROOT / "examples" / "photos" / "temple.jpg", tmp_path / "photo.jpg")
    (script,) = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    (snippet,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    for command in (["bash", "-euo", "pipefail", "-c", script], [sys.executable, "-c", snippet]):
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "gen3r generate photo.jpg" in ran.stdout or "done" in ran.stdout
    with zipfile.ZipFile(tmp_path / "scene.zip") as made:
        assert set(made.namelist()) == {"points.ply", "scene.glb", "cameras.json"}
    with zipfile.ZipFile(tmp_path / "scene_from_api.zip") as made:
        assert {"scene.safetensors", "scene.json", "points.ply", "views/frame00000.png"} <= set(made.namelist())
    assert (tmp_path / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "rgb.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_document_names_every_operation(clients: Clients) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    described = clients.served.client.get(f"{API}/openapi.json").json()
    for path, methods in described["paths"].items():
        short = path.removeprefix(API).replace("{job}", "{id}").replace("{upload}", "{id}")
        for method in methods:
            assert re.search(rf"`{method.upper()} {re.escape(short)}[`?]", text), (method, path)


def test_it_stops_in_good_order_and_starts_with_its_history(clients: Clients, place: Path) -> None:
    before = clients.states()
    (worker,) = clients.served.worker_pids()
    waiting = clients.submit(0, **LONG).json()["id"]
    code, said = clients.served.stop()
    assert code == 0
    assert "Closed" in said
    assert not is_alive(worker)
    clients.served = Served(place / "studio", place / "home", "--models", "tiny", "--workers", "0")
    after = clients.states()
    assert after.pop(waiting)["state"] == "queued"
    assert after == before
    refused = clients.served.client.post(f"{API}/jobs", headers={HEADER: clients.sessions[0]}, json=QUICK)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert clients.ask(0, "POST", f"jobs/{waiting}/cancel").json()["state"] == "cancelled"
    clients.served.kill()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--host", "0.0.0.0"), "add --token"),
        (("--host", "no.such.host.invalid"), "--token"),
        (("--token", "short"), "at least 16"),
        (("--models", "no-such-model"), "no-such-model"),
        (("--workers", "-1"), "workers must be"),
        (("--max-queue", "0"), "queue"),
    ],
)
def test_the_command_line_refuses_in_a_line(
    options: tuple[str, ...], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["studio", "--root", str(tmp_path / "root"), *options])
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert told.count("\n") == 1
    assert problem in told
