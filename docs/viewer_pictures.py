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
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from gen3r.apps.viewer.app import Viewer
from gen3r.apps.viewer.data import ShownScene
from gen3r.apps.viewer.listening import Address, listening, url_of
from gen3r.apps.viewer.path_editor import stand
from gen3r.cameras.trajectories import trajectory
from gen3r.scene.scene import Scene
from gen3r.scene.turntable import turned

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).parent / "pictures"
UP = np.array([0.0, -1.0, 0.0])
SETTLE = 8.0
"""Seconds for a browser without a graphics card to draw."""


def save(page: "Page", name: str) -> None:
    """Take the page, without the warning that it is drawn in software."""
    page.add_style_tag(content=".mantine-Notifications-root { display: none }")
    time.sleep(SETTLE)
    with Image.open(io.BytesIO(page.screenshot(timeout=200_000))) as picture:
        picture.convert("RGB").save(PICTURES / name, quality=82, optimize=True)


def main(folders: list[Path]) -> None:
    """Two scenes side by side as splats; then a path around the first."""
    scenes = [ShownScene(folder.resolve().name, Scene.load(folder)) for folder in folders]
    with (
        tempfile.TemporaryDirectory() as out,
        listening(Address(port=0)) as server,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        viewer = Viewer(server, scenes, Path(out))
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(url_of(server))
        while not server.get_clients():
            time.sleep(0.1)
        viewer.panel.geometry.value = "Splats"
        viewer.panel.max_depth.value = 1.6
        viewer.panel.timeline.slider.value = 4
        save(page, "viewer.jpg")

        viewer.panel.shown[0].value = False
        viewer.panel.layout.value = "Overlaid"
        viewer.panel.cameras.value = "None"
        first = scenes[0]
        for pose in trajectory("orbit_right", 3, 0.8 * first.median_depth).double().numpy():
            lifted = pose.copy()
            lifted[1, 3] -= 0.25 * first.median_depth * abs(pose[0, 3])
            viewer.editor.add(lifted)
        viewer.editor.choose(1)
        client = next(iter(server.get_clients().values()))
        middle = np.array([0.0, 0.0, 0.45 * first.median_depth])
        away = np.eye(4)
        away[2, 3] = -0.9 * first.median_depth
        pose = turned(away, middle, np.array([1.0, 0.0, 0.0]), np.array([-0.5]))[0]
        stand(client, turned(pose, middle, UP, np.array([-0.7]))[0])
        page.get_by_role("tab", name="Camera path").click()
        save(page, "viewer_path.jpg")
        viewer.close()
        browser.close()


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
