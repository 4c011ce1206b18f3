"""Requests to an application inside the test's process."""

from typing import Any

import httpx
from starlette.types import ASGIApp

from apps.anywhere import run_anywhere


def ask(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    """One request, as a client would send it to http://127.0.0.1."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **options)

    return run_anywhere(send())
