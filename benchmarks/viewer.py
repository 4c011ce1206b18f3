"""How long `gen3r view` takes to show a million points: from its start to a browser that has them.

python benchmarks/viewer.py measure --out benchmarks/results/viewer_cpu.json
python benchmarks/viewer.py table benchmarks/results/viewer_cpu.json --into docs/viewer.md

A scene is rendered and saved. Then, round after round, the command is started in a new process, and as soon as it
prints its address a client connects, and the clock stops when all points have arrived. One kind of round has a bare
websocket client; the other a headless Chromium that is already running and loads the page, which without a graphics
card means that two busy cores share in drawing it in software. Drawing the points themselves is not timed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import tyro
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.data.clip import FIRST_HELD_OUT_SEED
from gen3r.data.synthetic import generate_clip
from gen3r.eval.machine import machine_record, source_commit
from gen3r.eval.report import fill_tables
from gen3r.scene.scene import Scene
from gen3r.whole_file import whole_file

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FORMAT = "gen3r-viewer"
MOMENTS = {
    "address": "the address is printed",
    "client": "a bare websocket client has all points",
    "browser": "a page in Chromium, which draws in software, has all points",
}
BYTES_PER_POINT = 15
"""Position (float32) and colour."""
PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measure on this machine."""

    out: Path
    """Results file (JSON); replaced if it is there."""
    frames: int = 29
    """Of the scene."""
    size: int = 256
    """Height and width of the frames, pixels."""
    rounds: int = 5
    """Starts; the median counts."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Show results as a table."""

    results: tyro.conf.Positional[Path]
    """Results file."""
    into: Path | None = None
    """Document whose marked place takes the table; left out, it is printed."""


def make_scene(frames: int, size: int) -> Scene:
    """A rendered scene with exact depth."""
    clip = generate_clip(FIRST_HELD_OUT_SEED, frames, size, size)
    mask = clip.depth > 0
    return Scene(
        rgb=clip.rgb,
        depth=clip.depth.float(),
        confidence=mask.float(),
        points=torch.zeros(*mask.shape, 3),
        mask=mask,
        cameras=clip.cameras,
    )


@contextmanager
def started(folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """The command in a new process: its address, and the seconds since its start."""
    command = [sys.executable, "-m", "gen3r.cli", "view", str(folder), "--port", "0", "--no-open"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as view:
        try:
            assert view.stdout is not None
            yield view.stdout.readline().split()[0], lambda: time.perf_counter() - start
        finally:
            view.send_signal(signal.SIGINT)
            view.wait()


def with_client(folder: Path, least_bytes: int) -> dict[str, float]:
    """Seconds until a client that draws nothing has a message of the size of the points."""
    protocol = Subprotocol(f"viser-v{metadata.version('viser')}")
    with started(folder) as (url, seconds):
        moments = {"address": seconds()}
        with connect(url.replace("http", "ws", 1), subprotocols=[protocol], max_size=None, compression=None) as socket:
            while len(socket.recv(timeout=PATIENCE)) < least_bytes:
                pass
            return moments | {"client": seconds()}


def with_browser(folder: Path, least_bytes: int, browser: Browser) -> dict[str, float]:
    """Seconds until a page has it."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    arrived: list[float] = []
    with started(folder) as (url, seconds):

        def received(payload: str | bytes) -> None:
            if len(payload) >= least_bytes:
                arrived.append(seconds())

        page.on("websocket", lambda socket: socket.on("framereceived", received))
        page.goto(url)
        while not arrived:
            if seconds() > PATIENCE:
                raise TimeoutError(f"the page has no points after {PATIENCE:g} s.")
            page.wait_for_timeout(20)
    page.close()
    return {"browser": arrived[0]}


def measure(settings: Measure) -> dict[str, Any]:
    """Results as they are stored."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        folder = Path(temporary) / "scene"
        make_scene(settings.frames, settings.size).save(folder)
        points = len(ShownScene("scene", Scene.load(folder)).points(Filters()))
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        size = points * BYTES_PER_POINT
        rounds = [with_client(folder, size) | with_browser(folder, size, browser) for _ in range(settings.rounds)]
        version = browser.version
        browser.close()
    return {
        "format": FORMAT,
        "version": 1,
        "commit": source_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_record(torch.device("cpu")) | {"load_average": round(os.getloadavg()[0], 2)},
        "chromium": version,
        "frames": settings.frames,
        "size": [settings.size, settings.size],
        "points": points,
        "rounds": [{name: round(value, 3) for name, value in each.items()} for each in rounds],
        "median": {name: round(statistics.median(each[name] for each in rounds), 3) for name in MOMENTS},
    }


def table(record: dict[str, Any]) -> str:
    """The medians."""
    machine = record["machine"]
    lines = ["| from the start of `gen3r view` until | seconds |", "|---|---:|"]
    lines += [f"| {title} | {record['median'][name]:.2g} |" for name, title in MOMENTS.items()]
    height, width = record["size"]
    note = (
        f"Median of {len(record['rounds'])} starts: {record['points']:,} points ({record['frames']} frames of "
        f"{height}x{width}, thinned), {machine['cores']} cores of {machine['processor']}, load average "
        f"{machine['load_average']:g}, Chromium {record['chromium'].split('.')[0]}, already running."
    )
    return "\n".join([*lines, "", note]) + "\n"


def main(command: Measure | Table) -> None:
    """See the top of this file."""
    if isinstance(command, Measure):
        text = json.dumps(measure(command), indent=1, allow_nan=False) + "\n"
        command.out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(command.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return
    shown = table(json.loads(command.results.read_text(encoding="utf-8")))
    if command.into is None:
        sys.stdout.write(shown)
        return
    filled = fill_tables(command.into.read_text(encoding="utf-8"), command.results.as_posix(), shown)
    with whole_file(command.into) as temporary:
        temporary.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Measure | Table, description=__doc__))
