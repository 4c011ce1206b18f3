"""The viewer as a person has it: a server, and a real Chromium that looks at it."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("viser", reason="viser is missing; pip install 'gen3r[viewer]'")

from gen3r.apps.viewer.app import Viewer
from gen3r.apps.viewer.capture import screenshot, turntable
from gen3r.apps.viewer.data import ShownScene
from gen3r.apps.viewer.listening import Address, listening, url_of
from gen3r.apps.viewer.poses import pose_matrix
from gen3r.scene.camera_files import read_cameras
from gen3r.scene.turntable import Turntable
from scene.rooms import room_scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 30.0


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    scenes = [ShownScene(name, room_scene(frames=frames, height=24, width=32)) for name, frames in (("a", 5), ("b", 3))]
    with listening(Address(port=0)) as server:
        shown = Viewer(server, scenes, tmp_path_factory.mktemp("saved"))
        yield shown
        shown.close()


@pytest.fixture(scope="module")
def page(viewer: Viewer, browser: "Browser") -> "Iterator[Page]":
    opened = browser.new_page(viewport={"width": 1000, "height": 500})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(url_of(viewer.server))
    wait_for(lambda: len(viewer.server.get_clients()) == 1)
    yield opened
    opened.close()
    assert problems == []


def wait_for(condition: Callable[[], bool]) -> None:
    """Give threads and browser time, and the test an end."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def painted(page: "Page") -> int:
    """Pixels of the canvas that are not background."""
    with Image.open(io.BytesIO(page.locator("canvas").first.screenshot())) as picture:
        return int((np.asarray(picture.convert("RGB")).min(axis=-1) < 200).sum())


def test_the_canvas_shows_the_scenes(viewer: Viewer, page: "Page") -> None:
    wait_for(lambda: painted(page) > 20_000)
    both = painted(page)
    page.get_by_label("b", exact=True).click()
    wait_for(lambda: painted(page) < 0.8 * both)
    page.get_by_label("b", exact=True).click()
    wait_for(lambda: painted(page) > 0.9 * both)


def test_play_moves_the_frame_and_pause_stops_it(viewer: Viewer, page: "Page") -> None:
    timeline = viewer.panel.timeline
    seen = set()
    page.get_by_role("button", name="Play").click()
    wait_for(lambda: seen.add(timeline.frame) or len(seen) == timeline.frames)
    page.get_by_role("button", name="Pause").click()
    wait_for(lambda: timeline.button.label == "Play")
    time.sleep(0.2)
    frame = timeline.frame
    time.sleep(0.3)
    assert timeline.frame == frame


def test_frames_are_sent_once(viewer: Viewer, page: "Page") -> None:
    layer = viewer.layers[0]

    def visible() -> set[int | None]:
        return {index for index, node in layer._drawn.items() if node is not None and node.visible}

    viewer.panel.span.value = "This frame"
    for frame in (0, 1, 2, 1, 0):
        viewer.panel.timeline.slider.value = frame
        wait_for(lambda frame=frame: visible() == {frame})
    nodes = {index: layer._drawn[index] for index in (0, 1, 2)}
    viewer.panel.span.value = "Up to this frame"
    viewer.panel.timeline.slider.value = 2
    wait_for(lambda: visible() == {0, 1, 2})
    assert all(layer._drawn[index] is node for index, node in nodes.items())
    viewer.panel.span.value = "All frames"
    wait_for(lambda: visible() == {None})


def test_the_path_saved_is_the_path_shown(viewer: Viewer, page: "Page") -> None:
    editor = viewer.editor
    page.get_by_role("tab", name="Camera path").click()
    page.get_by_role("button", name="Add the first camera").click()
    wait_for(lambda: len(editor.keys) == 1)
    viewer.panel.timeline.slider.value = 4
    page.get_by_role("button", name="Add the current frame's camera").click()
    wait_for(lambda: len(editor.keys) == 2)
    page.get_by_role("button", name="Add this view").click()
    wait_for(lambda: len(editor.keys) == 3)
    client = next(iter(viewer.server.get_clients().values()))
    np.testing.assert_allclose(editor.keys[2], pose_matrix(client.camera.wxyz, client.camera.position), atol=1e-9)
    moved = editor.keys[1].copy()
    moved[:3, 3] += (0.1234567, -0.2, 0.05)
    editor.choose(1)
    editor.move(moved)

    page.get_by_role("button", name="Save").click()
    saved = editor.out / "camera_path.json"
    wait_for(saved.is_file)
    shown = torch.from_numpy(editor.nodes.poses)
    assert len(shown) == int(editor.frames.value)
    torch.testing.assert_close(read_cameras(saved).world_from_camera.double(), shown, atol=1e-6, rtol=0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_bytes() == saved.read_bytes()


def test_the_preview_goes_along_the_path_and_back(viewer: Viewer, page: "Page") -> None:
    client = next(iter(viewer.server.get_clients().values()))

    def stands() -> np.ndarray:
        return pose_matrix(client.camera.wxyz, client.camera.position)

    viewer.panel.timeline.speed.value = 3
    before, seen = stands(), []
    preview = threading.Thread(target=viewer.editor.preview, args=(client,))
    preview.start()
    while preview.is_alive():
        seen.append(stands())
        time.sleep(0.01)
    misses = [np.abs(np.stack(seen) - pose).max(axis=(1, 2)).min() for pose in viewer.editor.nodes.poses]
    assert max(misses) < 1e-3
    wait_for(lambda: np.allclose(stands(), before, atol=1e-3))
    assert viewer.editor.nodes.visible


def test_pictures_of_what_is_seen(viewer: Viewer, page: "Page", tmp_path: Path) -> None:
    client = next(iter(viewer.server.get_clients().values()))
    screenshot(client, tmp_path / "view.png", (90, 160))
    with Image.open(tmp_path / "view.png") as picture:
        assert (picture.size, picture.mode) == ((160, 90), "RGB")
        assert np.asarray(picture).std() > 20
    done: list[float] = []
    turntable(client, tmp_path / "turn.mp4", Turntable(frames=3, height=90, width=160), done.append)
    with av.open(str(tmp_path / "turn.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in video.decode(video=0)]
    assert (len(frames), done[-1]) == (3, 1.0)
    assert np.abs(frames[0] - frames[1]).mean() > 1


def test_a_taken_port_is_told(viewer: Viewer) -> None:
    with pytest.raises(ValueError, match="name another --port"):
        Address(port=viewer.server.get_port()).check()
