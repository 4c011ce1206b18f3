"""The Chromium that browser tests drive."""

import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""WebGL without a graphics card, and no talking to anyone."""


def chromium_path() -> Path | None:
    """Debian's Chromium or another one on PATH; None if there is none."""
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)
