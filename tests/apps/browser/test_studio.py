"""The studio as a person has it: `gen3r studio` in a process of its own, and a real Chromium that uses its page."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
import trimesh
from PIL import Image

pytest.importorskip("gradio", reason="gradio is missing; pip install 'gen3r[studio]'")

from apps.browser.studio_server import StudioServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PHOTO = Path(__file__).parents[3] / "examples" / "photos" / "temple.jpg"
BACKGROUND = (19, 23, 29)
"""Colour of the 3D view where nothing is."""
PATIENCE = 240_000
"""Milliseconds: the machine may be busy."""
pytestmark = pytest.mark.timeout(900)
RUN_TITLE = "a temple <b>by</b> a lake"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    studio = StudioServer(tmp_path_factory.mktemp("studio"))
    studio.start()
    yield studio
    studio.stop()


class Watched:
    """A page in a browser of its own, and what went wrong in it."""

    def __init__(self, browser: Browser, server: StudioServer) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.open(server)

    def open(self, server: StudioServer) -> None:
        self.page.goto(server.url)
        self.page.wait_for_selector("#history :is(.hint, .runs)")

    def close(self, server: StudioServer) -> None:
        self.context.close()
        assert self.problems == []
        assert self.hosts - {""} == {urlsplit(server.url).netloc}, "the page fetches something from elsewhere"


@pytest.fixture
def page(browser: Browser, server: StudioServer) -> Iterator[Page]:
    """The start page of somebody new."""
    watched = Watched(browser, server)
    yield watched.page
    watched.close(server)


@pytest.fixture(scope="module")
def finished(browser: Browser, server: StudioServer) -> Iterator[Page]:
    """A page on which a photo was uploaded and has become a scene."""
    watched = Watched(browser, server)
    page = watched.page
    page.set_input_files("#files input[type=file]", PHOTO)
    page.wait_for_selector(".views li")
    page.get_by_label("What to see").fill(RUN_TITLE)
    page.get_by_role("button", name="Make the scene").click()
    page.wait_for_selector(".run-card.done")
    page.wait_for_selector(".cloud[data-state=ready]")
    yield page
    watched.close(server)


def pixels(of: Locator) -> np.ndarray:
    """What is seen of an element, [height, width, 3]."""
    return np.asarray(Image.open(io.BytesIO(of.screenshot())).convert("RGB"), dtype=np.int16)


def serious(page: Page) -> list[tuple[str, str]]:
    """(rule, element) of every serious or critical finding of axe-core."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (item["id"], node["html"][:200])
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


def scrolls_sideways(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def open_settings(page: Page) -> None:
    page.get_by_role("button", name="More settings").click()
    page.wait_for_selector("#seed", state="visible")


def test_points_are_seen_and_can_be_turned(finished: Page) -> None:
    open_tab(finished, "3D")
    canvas = finished.locator(".cloud-canvas")
    finished.get_by_role("button", name="First view").click()
    finished.wait_for_timeout(300)
    before = pixels(canvas)
    background = np.abs(before - BACKGROUND).max(axis=-1) <= 3
    assert 0.1 < (~background).mean() < 0.98
    assert before[~background].std(axis=0).min() > 10
    canvas.focus()
    for _ in range(4):
        finished.keyboard.press("ArrowRight")
    finished.wait_for_timeout(300)
    assert (np.abs(pixels(canvas) - before).max(axis=-1) > 20).mean() > 0.05


def test_the_scene_can_be_taken_away(finished: Page, tmp_path: Path) -> None:
    open_tab(finished, "Files")
    with finished.expect_download() as download:
        finished.get_by_role("link", name="scene.glb").click()
    download.value.save_as(tmp_path / "scene.glb")
    scene = trimesh.load_scene(tmp_path / "scene.glb")
    assert len(scene.geometry["points"].vertices) > 1000

    boxes = finished.locator("#formats input")
    for index in range(boxes.count()):
        label = boxes.nth(index).locator("xpath=ancestor::label").inner_text()
        boxes.nth(index).set_checked(label.startswith(("cameras:", "tum:")))
    with finished.expect_download() as download:
        finished.get_by_role("button", name="Make the zip").click()
    download.value.save_as(tmp_path / "scene.zip")
    with zipfile.ZipFile(tmp_path / "scene.zip") as archive:
        names = archive.namelist()
        cameras = json.loads(archive.read("cameras.json"))
    assert len(names) == 2
    assert len(cameras["extrinsics"]) == 9


def test_videos_play_and_lines_repeat_the_run(finished: Page) -> None:
    for tab, element in (("Video", "#video video"), ("Depth", "#depth video")):
        open_tab(finished, tab)
        playable = f"() => document.querySelector('{element}')?.readyState >= 2"
        finished.wait_for_function(playable)
    open_tab(finished, "Cameras")
    assert finished.locator("#cameras svg path.camera").count() == 9
    open_tab(finished, "Repeat")
    lines = finished.locator("#repeat code").all_inner_texts()
    assert lines[0].startswith("gen3r generate temple.jpg")
    assert RUN_TITLE in lines[0]
    compile(lines[1], "repeat", "exec")


@pytest.mark.parametrize("tab", ["3D", "Files", "Repeat"])
def test_results_are_accessible_and_fit_a_phone(finished: Page, tab: str) -> None:
    open_tab(finished, tab)
    assert serious(finished) == []
    finished.set_viewport_size({"width": 390, "height": 844})
    try:
        finished.wait_for_timeout(200)
        assert not scrolls_sideways(finished)
    finally:
        finished.set_viewport_size({"width": 1280, "height": 900})


def test_start_page_is_accessible_and_fits_a_phone(page: Page) -> None:
    page.get_by_role("radio", name="Draw a path").check()
    open_settings(page)
    assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(200)
    assert not scrolls_sideways(page)


def test_a_run_is_found_again_after_a_reload_and_can_be_cancelled(page: Page, server: StudioServer) -> None:
    page.locator("[data-example=room]").click()
    page.wait_for_selector(".views li")
    open_settings(page)
    for name, most in (("frames", 33), ("steps", 20)):
        field = page.locator(f"#{name} input[type=number]")
        field.fill(str(most))
        field.press("Tab")
        assert field.input_value() == str(most)
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Make the scene").click()
    page.wait_for_selector(".run-card.running figure img")
    assert page.locator(".run-card progress").get_attribute("max") == "20"
    page.reload()
    page.wait_for_selector(".run-card.running")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".run-card.cancelled")
    page.wait_for_selector("#cancel", state="hidden")
    assert page.locator(".run-state.cancelled").count() == 1


def test_everything_works_with_the_keyboard(page: Page) -> None:
    def tab_to(target: Locator) -> None:
        for _ in range(40):
            if target.evaluate("node => node === document.activeElement || node.contains(document.activeElement)"):
                return
            page.keyboard.press("Tab")
        pytest.fail("cannot be reached with the Tab key")

    tab_to(page.locator("[data-example=room]"))
    page.keyboard.press("Enter")
    page.wait_for_selector(".views li")
    tab_to(page.get_by_label("What to see"))
    page.keyboard.press("End")
    page.keyboard.type(" with a lamp")
    tab_to(page.locator("input[name=trajectory]:checked"))
    assert page.locator("input[name=trajectory]:checked").get_attribute("value") == "dolly_in"
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        if page.locator("input[name=trajectory]:checked").get_attribute("value") == "drawn":
            break
    tab_to(page.get_by_role("button", name="Add a camera"))
    page.keyboard.press("Enter")
    page.keyboard.type("0.3")
    page.keyboard.press("Tab")
    page.wait_for_selector('.map[data-cameras="9"]')
    tab_to(page.get_by_role("button", name="Make the scene"))
    page.keyboard.press("Enter")
    page.wait_for_selector(".run-card.done")
    assert page.locator(".runs strong").inner_text() == "a room with a lamp"
    assert page.locator(".run-words span").first.inner_text() == "drawn path, seed 0"


def test_a_run_comes_into_sight_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("What to see").fill("a room")
    page.get_by_role("button", name="Make the scene").click()
    page.wait_for_selector(".run-card")
    page.wait_for_function("() => Math.abs(document.querySelector('#outcome').getBoundingClientRect().top) < 4")
    page.wait_for_selector(".run-card.done")


def test_what_cannot_be_done_is_said_kindly(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Make the scene").click()
    card = page.get_by_role("alert")
    card.wait_for()
    assert "pick an example" in card.inner_text()
    (tmp_path / "broken.jpg").write_bytes(b"this is no picture")
    page.set_input_files("#files input[type=file]", tmp_path / "broken.jpg")
    page.wait_for_function("() => document.querySelector('[role=alert]').innerText.includes('broken.jpg')")
    assert "PNG, JPEG or WebP" in card.inner_text()
    assert page.locator(".views li").count() == 0


def test_history_survives_a_restart(finished: Page, server: StudioServer) -> None:
    server.stop()
    server.start()
    finished.goto(server.url)
    finished.wait_for_selector(".runs li")
    assert finished.locator(".runs strong").inner_text() == RUN_TITLE
    finished.wait_for_function("() => document.querySelector('.runs img').naturalWidth > 0")
    finished.locator(".runs button").click()
    finished.wait_for_selector(".cloud[data-state=ready]")
    assert "points" in finished.locator(".cloud-note").inner_text()
