"""What a client asks for, and what becomes of it."""

from __future__ import annotations

from typing import Annotated, Literal, Required

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict

State = Literal["queued", "running", "done", "failed", "cancelled"]
Kind = Literal["generate", "reconstruct"]

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
ENDED: tuple[State, ...] = (DONE, FAILED, CANCELLED)
"""States that nothing follows."""
LARGEST_SEED = 2**63 - 1


def _plain_text(text: str) -> str:
    """Text that can be stored and shown: no half characters, and no control characters but line ends and tabs."""
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        raise ValueError("expected whole characters, got half of a surrogate pair")
    if any(ord(letter) < 32 and letter not in "\n\r\t" for letter in text):
        raise ValueError("expected text without control characters")
    return text


Text = Annotated[str, AfterValidator(_plain_text)]
Identifier = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Index = Annotated[int, Field(ge=0, le=100_000)]
Side = Annotated[int, Field(ge=1, le=16_384)]
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
Matrix4 = Annotated[list[Annotated[list[Number], Field(min_length=4, max_length=4)]], Field(min_length=4, max_length=4)]
Matrix3 = Annotated[list[Annotated[list[Number], Field(min_length=3, max_length=3)]], Field(min_length=3, max_length=3)]


class DrawnPath(TypedDict, total=False):
    """A cameras.json record, see docs/formats.md."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # pyright: ignore[reportGeneralTypeIssues]

    convention: Text
    height: Required[Side]
    width: Required[Side]
    extrinsics: Required[Annotated[list[Matrix4], Field(min_length=1, max_length=10_000)]]
    intrinsics: Required[Annotated[list[Matrix3], Field(min_length=1, max_length=10_000)]]


class JobRequest(BaseModel):
    """One scene to make. What is left out is the model's own choice.

    The types are strict: 3.0 is no number of frames and "3" neither. How large numbers may be is a matter of the
    studio's `Limits`, and what fits a model is known by the model.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    kind: Kind = "generate"
    """Generate a clip, or only reconstruct the uploads."""
    uploads: list[Identifier] = Field(default=[], max_length=1_000)
    """Pictures in order, or one video."""
    at: list[Index] = Field(default=[], max_length=1_000)
    """Frame index of each upload (of each frame taken, for a video), counted from 0. Empty: evenly spread."""
    prompt: Text = Field(default="", max_length=100_000)
    """What to see, in words."""
    trajectory: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] = "free"
    """Name of a camera path; free leaves it to the model."""
    camera_path: DrawnPath | None = None
    """A cameras.json record: a drawn path. Replaces `trajectory`."""
    camera_scale: Annotated[float, Field(gt=0, lt=1e9, allow_inf_nan=False)] | None = None
    """Mean depth of the first view in the unit of `camera_path`. Left out, it is estimated."""
    scene_cameras: Literal["predicted", "requested"] | None = None
    """Cameras of the result where some were asked for: read from the geometry, or those asked for."""
    frames: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Length of the clip: 1, 5, 9, ... (4k+1). Of a reconstruction, the most frames taken from a video."""
    size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None = None
    """Height and width in pixels."""
    steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Denoising steps."""
    guidance: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    """Weight of the text; 1 turns guidance off."""
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """Same seed, same scene."""
    model: Text | None = Field(default=None, max_length=200)
    """One of the studio's models; left out, its first."""


def stored_request(text: str) -> JobRequest | None:
    """A request as it was stored; None if another gen3r wrote it in a way that is not understood here."""
    try:
        return JobRequest.model_validate_json(text)
    except ValidationError:
        return None


class Upload(BaseModel):
    """A picture or video that the studio has looked into and keeps."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    kind: Literal["image", "video"]
    name: str
    """File name as the client told it, made harmless; with the suffix that the content asks for."""
    width: int
    """Pixels, upright."""
    height: int
    """Pixels, upright."""
    frames: int
    """1 for a picture."""
    seconds: float
    """0 for a picture."""
    bytes: int
    created: float
    """Seconds since 1970 (UTC)."""


class Job(BaseModel):
    """A request and how far it has come. Times are in seconds since 1970 (UTC)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    state: State
    done: int
    """Steps finished."""
    total: int
    """Steps in all; 0 if not known yet, or for work without steps."""
    eta_seconds: float | None
    """Time left, while it is running and can be told."""
    queue_position: int | None
    """1 is next; None if it does not wait."""
    message: str
    """What happens now, in a few words."""
    has_preview: bool
    created: float
    started: float | None
    finished: float | None
    request: JobRequest
    results: list[str]
    """Names of the files of the finished scene."""
    error: str | None
    """Why it failed."""
