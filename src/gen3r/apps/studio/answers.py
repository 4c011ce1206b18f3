"""What the API answers besides jobs and uploads, and how it tells what is wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from gen3r.apps.studio import errors

logger = logging.getLogger("gen3r.studio")

STATUS: dict[type[errors.StudioError], int] = {
    errors.InvalidRequest: 422,
    errors.UnknownSession: 401,
    errors.UnknownUpload: 404,
    errors.UnknownJob: 404,
    errors.UnknownResult: 404,
    errors.NotFinished: 409,
    errors.TooLarge: 413,
    errors.WrongType: 415,
    errors.QueueFull: 429,
    errors.NoWorker: 503,
    errors.NoSpace: 507,
}


class Answer(BaseModel):
    """What fields mean is told by the texts below them."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Problem(Answer):
    """Why a request was not answered as hoped."""

    error: str
    """What is wrong."""
    hint: str
    """What to do."""


class Session(Answer):
    """A session that has begun."""

    session: str
    """Key of the new session: send it as `X-Gen3R-Session`. It is told only once."""


class Health(Answer):
    """That the studio answers."""

    status: str
    workers: int
    """Processes that run jobs."""


class Format(Answer):
    """One way to have a scene."""

    name: str
    summary: str
    files: list[str]
    opens_in: str
    available: bool
    """Whether the libraries it needs are installed here."""


class RepeatLines(Answer):
    """What makes the same scene without the studio."""

    command: str
    """For the shell."""
    python: str


class AsciiJSON(JSONResponse):
    """JSON that can hold whatever a client sent, half characters included."""

    def render(self, content: Any) -> bytes:
        """Escape all that is not ASCII."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False).encode("ascii")


def tell_problems(app: FastAPI) -> None:
    """Have every error answered as a `Problem`."""
    for error, status_code in STATUS.items():
        app.add_exception_handler(error, _told(status_code))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _broken)


def _told(status_code: int) -> Callable[[Request, Exception], Response]:
    def handler(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.StudioError)
        retry = getattr(error, "retry_after", None)
        headers = None if retry is None else {"Retry-After": str(retry)}
        return AsciiJSON({"error": error.problem, "hint": error.hint}, status_code, headers)

    return handler


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    more = f" ({len(error.errors()) - 1} more problems)" if len(error.errors()) > 1 else ""
    return AsciiJSON({"error": f"{where[:200]}: {first['msg'][:500]}{more}", "hint": "see /docs"}, 422)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return AsciiJSON({"error": str(error.detail), "hint": "see /docs"}, error.status_code, error.headers)


def _broken(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return AsciiJSON({"error": "something went wrong in the studio", "hint": "its operator finds more in the log"}, 500)
