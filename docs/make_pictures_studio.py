"""The pictures of docs/studio.md: a real studio, used by a real browser.

    python docs/make_pictures_studio.py

Needs the extras studio and dev, and Chromium.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "pictures"
WELCOME = ROOT / "src" / "gen3r" / "apps" / "studio" / "page" / "examples" / "welcome.jpg"
"""What the page itself shows before the first scene."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
PATIENCE = 240_000
QUALITY = 84


def save(page: Page, name: str, *, width: int = 1100) -> None:
    """Keep what is seen as a JPEG."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.thumbnail((width, 4 * width), Image.Resampling.LANCZOS)
    picture.save(OUT / name, quality=QUALITY, optimize=True)


def use(page: Page, url: str) -> None:
    """Make a scene and look at everything on the way."""
    page.goto(url)
    page.wait_for_selector("#history :is(.hint, .runs)")
    page.wait_for_timeout(500)
    save(page, "studio_start.jpg")
    page.locator("[data-example=room]").click()
    page.wait_for_selector(".views li")
    page.get_by_role("radio", name="Draw a path").check()
    chart = page.locator(".map-svg")
    for across, down in ((0.58, 0.55), (0.66, 0.46), (0.62, 0.36)):
        box = chart.bounding_box()
        assert box is not None
        chart.click(position={"x": box["width"] * across, "y": box["height"] * down})
    page.wait_for_selector(".map[data-cameras]")
    page.get_by_role("button", name="Make the scene").click()
    page.wait_for_selector(".run-card.running figure img")
    page.locator("#path-map").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#path-map').scrollIntoView({block: 'start'})")
    page.wait_for_timeout(300)
    page.locator("#path-map").screenshot(path=OUT / "studio_path.png")
    with Image.open(OUT / "studio_path.png") as picture:
        picture.convert("RGB").save(OUT / "studio_path.jpg", quality=QUALITY, optimize=True)
    (OUT / "studio_path.png").unlink()
    page.wait_for_selector(".run-card.done")
    page.wait_for_selector(".cloud[data-state=ready]")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(800)
    save(page, "studio_result.jpg")
    cloud = Image.open(io.BytesIO(page.locator(".cloud-canvas").screenshot())).convert("RGB")
    cloud.thumbnail((640, 640), Image.Resampling.LANCZOS)
    cloud.save(WELCOME, quality=QUALITY, optimize=True)
    page.set_viewport_size(PHONE)
    page.evaluate("document.querySelector('#outcome').scrollIntoView({block: 'start'})")
    page.wait_for_timeout(800)
    save(page, "studio_phone.jpg", width=390)


def main() -> None:
    """Start the studio, use it, end it."""
    chromium = next(found for name in CHROMIUM if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "gen3r.cli", "studio", "--port", "0", "--root", root, "--models", "tiny"]
        studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert studio.stdout is not None
            url = studio.stdout.readline().split()[0]
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
                page = browser.new_page(viewport=WIDE)
                page.set_default_timeout(PATIENCE)
                use(page, url)
                browser.close()
        finally:
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main()
