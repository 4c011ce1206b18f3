import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from cli.running import Runner
from gen3r.cli.view import VISER
from scene.rooms import room_scene

needs_viser = pytest.mark.skipif(bool(VISER.missing), reason=f"viser is missing; {VISER.remedy}")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "room"
    room_scene(frames=2, height=12, width=16).save(folder)
    return folder


def test_a_picture_needs_no_browser(room: Path, tmp_path: Path, gen3r: Runner) -> None:
    outcome = gen3r("view", room, room, "--screenshot", tmp_path / "rooms.png")
    assert (outcome.code, outcome.stdout) == (0, f"{tmp_path / 'rooms.png'}\n")
    with Image.open(tmp_path / "rooms.png") as picture:
        assert np.asarray(picture).std() > 20


def test_what_cannot_be_shown_is_told(room: Path, tmp_path: Path, gen3r: Runner) -> None:
    assert "expected at least one SCENE" in gen3r("view").stderr
    assert "no scene folder" not in gen3r("view", tmp_path / "missing").stderr
    assert f"there is none at {tmp_path / 'missing'}" in gen3r("view", tmp_path / "missing").stderr
    assert "scene.json is missing" in gen3r("view", tmp_path, "--port", 0, "--no-open").stderr
    assert "create it first" in gen3r("view", room, "--out", tmp_path / "nowhere").stderr
    assert "existing folder" in gen3r("view", room, "--turntable", tmp_path / "nowhere" / "t.mp4").stderr
    assert "turn must be" in gen3r("view", room, "--screenshot", tmp_path / "s.png", "--turn", 0).stderr
    assert list(tmp_path.iterdir()) == []


@needs_viser
def test_a_taken_port_is_told(room: Path, gen3r: Runner) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        outcome = gen3r("view", room, "--port", other.getsockname()[1], "--no-open")
    assert outcome.code == 2
    assert "name another --port" in outcome.stderr


@needs_viser
def test_it_serves_until_interrupted(room: Path) -> None:
    command = [sys.executable, "-m", "gen3r.cli", "view", str(room), "--port", "0", "--no-open"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        with urlopen(url, timeout=20) as answer:
            assert b"<html" in answer.read().lower()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "Closed.\n", "")
