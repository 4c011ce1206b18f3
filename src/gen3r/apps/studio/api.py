"""The studio over HTTP: ``/api/v1``, described by its own OpenAPI page at ``/docs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.datastructures import UploadFile

from gen3r.apps.studio import errors
from gen3r.apps.studio.answers import AsciiJSON, Format, Health, Problem, RepeatLines, Session, tell_problems
from gen3r.apps.studio.docs_page import docs_page
from gen3r.apps.studio.guard import API, cookies
from gen3r.apps.studio.jobs import Job, JobRequest, Upload
from gen3r.apps.studio.service import Studio

SESSION_HEADER = "X-Gen3R-Session"
SESSION_COOKIE = "gen3r_session"
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".json": "application/json",
    ".glb": "model/gltf-binary",
    ".zip": "application/zip",
}
"""Types that files are sent as; others are bytes to save. None of them can run in a browser."""


def studio_of(request: Request) -> Studio:
    """The studio behind the application."""
    return request.app.state.studio


def session_of(request: Request) -> str:
    """The session key of a request: header before cookie.

    Raises:
        UnknownSession: if there is neither.
    """
    key = request.headers.get(SESSION_HEADER) or cookies(request.headers).get(SESSION_COOKIE)
    if not key:
        raise errors.UnknownSession("no session", f"POST {API}/sessions, and send its key as {SESSION_HEADER}")
    return key


Service = Annotated[Studio, Depends(studio_of)]
Key = Annotated[str, Depends(session_of)]
SentFile = Annotated[Any, File(json_schema_extra={"type": "string", "contentMediaType": "application/octet-stream"})]


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem} for status in sorted({401, 422, *statuses})}


_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}
public = APIRouter(prefix=API, default_response_class=AsciiJSON)
private = APIRouter(prefix=API, default_response_class=AsciiJSON)


@public.get("/health", tags=["studio"])
def health(studio: Service) -> Health:
    """Whether the studio answers; needs no token."""
    return Health(status="ok", workers=studio.workers())


@public.get("/models", tags=["studio"], responses={401: {"model": Problem}})
def models(studio: Service) -> list[str]:
    """Models that a job may name; the first is taken if it names none."""
    return studio.models()


@public.get("/trajectories", tags=["studio"], responses={401: {"model": Problem}})
def trajectories(studio: Service) -> list[str]:
    """Camera paths that a job may name."""
    return studio.trajectories()


@public.get("/formats", tags=["studio"], responses={401: {"model": Problem}})
def formats(studio: Service) -> list[Format]:
    """Formats that an archive may be made of."""
    return [Format(**item) for item in studio.formats()]


@public.get("/limits", tags=["studio"], responses={401: {"model": Problem}})
def limits(studio: Service) -> dict[str, int | float]:
    """How much may be asked for."""
    return vars(studio.limits)


@public.post("/sessions", tags=["sessions"], status_code=201, responses={s: {"model": Problem} for s in (401, 429)})
def new_session(studio: Service, response: Response) -> Session:
    """Begin a session. Uploads and jobs are private to it. Browsers get its key as a cookie, too."""
    key = studio.new_session()
    response.set_cookie(
        SESSION_COOKIE, key, httponly=True, samesite="lax", path=API, max_age=int(studio.limits.kept_days * 86_400)
    )
    return Session(session=key)


@private.post("/uploads", tags=["uploads"], status_code=201, responses=_problems(400, 413, 415, 507))
def add_upload(studio: Service, session: Key, file: SentFile) -> Upload:
    """Send a picture (PNG, JPEG, WebP) or a video (MP4, MOV, MKV, WebM, AVI) as multipart field `file`."""
    if not isinstance(file, UploadFile):
        raise errors.InvalidRequest("file: expected a file, got text", "send it as a file of multipart/form-data")
    return studio.add_upload(session, file.file, file.filename or "")


@private.get("/uploads", tags=["uploads"], responses=_problems())
def uploads(studio: Service, session: Key) -> list[Upload]:
    """Uploads of the session, oldest first."""
    return studio.uploads(session)


@private.get("/uploads/{upload}/file", tags=["uploads"], responses=_FILE | _problems(404), response_class=FileResponse)
def upload_file(studio: Service, session: Key, upload: str) -> FileResponse:
    """An upload as it came."""
    return _file(studio.upload_file(session, upload))


@private.delete("/uploads/{upload}", tags=["uploads"], status_code=204, responses=_problems(404, 409))
def remove_upload(studio: Service, session: Key, upload: str) -> None:
    """Delete an upload."""
    studio.remove_upload(session, upload)


@private.post("/jobs", tags=["jobs"], status_code=202, responses=_problems(400, 404, 413, 429, 503, 507))
def submit(studio: Service, session: Key, request: JobRequest, response: Response) -> Job:
    """Ask for a scene. Ask `/jobs/{job}` how far it is; 429 and 503 say after how many seconds to try again."""
    job = studio.submit(session, request)
    response.headers["Location"] = f"{API}/jobs/{job.id}"
    return job


@private.get("/jobs", tags=["jobs"], responses=_problems())
def jobs(studio: Service, session: Key) -> list[Job]:
    """Jobs of the session, newest first."""
    return studio.jobs(session)


@private.get("/jobs/{job}", tags=["jobs"], responses=_problems(404))
def status(studio: Service, session: Key, job: str) -> Job:
    """How far a job is."""
    return studio.job(session, job)


@private.post("/jobs/{job}/cancel", tags=["jobs"], responses=_problems(404))
def cancel(studio: Service, session: Key, job: str) -> Job:
    """Cancel a job: at once if it waits, after the step at hand if it runs. Nothing for one that has ended."""
    return studio.cancel(session, job)


@private.delete("/jobs/{job}", tags=["jobs"], status_code=204, responses=_problems(404, 409))
def remove(studio: Service, session: Key, job: str) -> None:
    """Delete a job that has ended, with its results."""
    studio.remove(session, job)


@private.get("/jobs/{job}/preview", tags=["jobs"], responses=_FILE | _problems(404), response_class=FileResponse)
def preview(studio: Service, session: Key, job: str) -> FileResponse:
    """A PNG of how the last frame looked after the newest step."""
    path = studio.preview(session, job)
    if path is None:
        raise errors.UnknownResult("there is no preview", "wait for the first step")
    return _file(path)


@private.get(
    "/jobs/{job}/files/{name:path}", tags=["results"], responses=_FILE | _problems(404), response_class=FileResponse
)
def result(studio: Service, session: Key, job: str, name: str) -> FileResponse:
    """One of the files that the job's `results` name."""
    return _file(studio.result(session, job, name))


@private.get(
    "/jobs/{job}/archive",
    tags=["results"],
    responses=_FILE | _problems(404, 409, 429, 507),
    response_class=FileResponse,
)
def archive(
    studio: Service, session: Key, job: str, formats: Annotated[str, Query(max_length=500)] = "all"
) -> FileResponse:
    """A zip of the scene in formats, separated by commas; `all` is every one that is available here."""
    return _file(studio.archive(session, job, formats.split(",")), f"gen3r-{job[:8]}.zip")


@private.get("/jobs/{job}/repeat", tags=["results"], responses=_problems(404))
def repeat(studio: Service, session: Key, job: str) -> RepeatLines:
    """The lines that make the same scene without the studio."""
    lines = studio.repeat(session, job)
    return RepeatLines(command=lines.command, python=lines.python)


def create_api(studio: Studio) -> FastAPI:
    """The application, without the guard that a server puts before it (see `server.create_app`)."""
    app = FastAPI(
        title="Gen3R studio",
        summary="From photos, videos or words to 3D scenes.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{API}/openapi.json",
        redirect_slashes=False,
    )
    app.state.studio = studio
    app.include_router(public)
    app.include_router(private)
    app.get("/docs", include_in_schema=False)(lambda: _docs(app))
    tell_problems(app)
    return app


def _docs(app: FastAPI) -> HTMLResponse:
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(docs_page(app.openapi()), headers={"Content-Security-Policy": policy})


def _file(path: Path, name: str | None = None) -> FileResponse:
    if not path.is_file():  # cleared away between looking it up and sending it
        raise errors.UnknownResult("the file is no longer there", "make the scene again")
    media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    inline = media_type.startswith(("image/", "video/"))
    return FileResponse(
        path,
        media_type=media_type,
        filename=name or path.name,
        content_disposition_type="inline" if inline else "attachment",
    )
