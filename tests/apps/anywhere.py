"""Coroutines in tests that share their process with a browser."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_anywhere(work: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` in a thread of its own: playwright keeps a loop running in the main one once a browser is there."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
