"""Draws docs/pictures/viewer.jpg and viewer_path.jpg: `gen3r view` as a browser shows it.

python docs/viewer_pictures.py SCENE OTHER_SCENE

The pictures in this repository show what the shipped model makes of a photo (with --cameras orbit) and of a video
(gen3r reconstruct). Needs Chromium.
"""

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from gen3r.apps.viewer.app import Viewer
from gen3r.apps.viewer.data import ShownScene
from gen3r.apps.viewer.listening import Address, listening, url_of
from gen3r.apps.viewer.path_editor import stand
from gen3r.apps.viewer.poses import pose_matrix
from gen3r.cameras.trajectories import trajectory
from gen3r.scene.scene import Scene
from gen3r.scene.turntable import turned

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PICTURES = Path(__file__).parent / "pictures"
UP = np.array([0.0, -1.0, 0.0])
SETTLE = 15.0
"""Seconds for a browser without a graphics card to draw."""


def save(page: "Page", name: str) -> None:
    """Take the page, without the warning that it is drawn in software."""
    page.add_style_tag(content=".mantine-Notifications-root { display: none }")
    time.sleep(SETTLE)
    with Image.open(io.BytesIO(page.screenshot(timeout=200_000))) as picture:
        picture.convert("RGB").save(PICTURES / name, quality=82, optimize=True)


@contextmanager
def shown(browser: "Browser", folders: list[Path]) -> Iterator[tuple[Viewer, "Page"]]:
    """Scenes as splats in a page."""
    scenes = [ShownScene(folder.resolve().name, Scene.load(folder)) for folder in folders]
    with tempfile.TemporaryDirectory() as out, listening(Address(port=0)) as server:
        viewer = Viewer(server, scenes, Path(out))
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(url_of(server))
        while not server.get_clients():
            time.sleep(0.1)
        viewer.panel.geometry.value = "Splats"
        yield viewer, page
        page.close()
        viewer.close()


def side_by_side(browser: "Browser", folders: list[Path]) -> None:
    """Without the sky, which would be most of the picture."""
    with shown(browser, folders) as (viewer, page):
        viewer.panel.max_depth.value = 1.6
        viewer.panel.timeline.slider.value = 4
        save(page, "viewer.jpg")


def path(browser: "Browser", folder: Path) -> None:
    """An arc with three keys, seen from the side."""
    with shown(browser, [folder]) as (viewer, page):
        viewer.panel.cameras.value = "None"
        depth = viewer.scenes[0].median_depth
        for pose in trajectory("orbit_right", 3, 0.8 * depth, amount=2.0).double().numpy():
            viewer.editor.add(pose)
        viewer.editor.choose(1)
        client = next(iter(viewer.server.get_clients().values()))
        camera = client.camera
        start = pose_matrix(camera.wxyz, camera.position)
        start[:3, 3] -= 0.5 * depth * start[:3, 2]
        stand(client, turned(start, np.asarray(camera.look_at), UP, np.array([-0.75]))[0])
        page.get_by_role("tab", name="Camera path").click()
        save(page, "viewer_path.jpg")


def main(folder: str, other: str) -> None:
    """See the top of this file."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        path(browser, Path(other))
        side_by_side(browser, [Path(folder), Path(other)])
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
