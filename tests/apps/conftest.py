from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from apps.chromium import ARGUMENTS, chromium_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A headless Chromium; a test opens its own page and closes it."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium on PATH; on Debian: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing; pip install 'gen3r[dev]'")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, headless=True, args=list(ARGUMENTS))
        yield started
        started.close()
