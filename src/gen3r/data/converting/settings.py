"""What a user may choose when converting a dataset, as plain values that travel to other processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Literal, get_args

from gen3r.data.converting.raw import ConvertOptions

Link = Literal["copy", "hard"]


@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """How scenes become clips.

    Raises:
        ValueError: on construction, for numbers out of range.
    """

    link: Link = "copy"
    """How untouched pictures get into the clip. "hard": hard links where the disk allows, which take no space."""
    max_side: int | None = None
    """Pictures whose longer side has more pixels are made smaller; None: never."""
    min_frames: int = 2
    """Scenes of fewer frames are refused."""
    max_frames: int = 500
    """Longer scenes are cut into parts of nearly equal length, a clip each."""
    captions: str | None = None
    """A file with prompts by scene, see `gen3r.data.converting.prompts`."""
    cameras: tuple[str, ...] = ()
    """See `ConvertOptions`, as the next ones."""
    square_windows: int = 1
    """Square windows cut from very wide pictures."""
    rate: float | None = None
    """Frames per second to take of a video."""
    include_benchmarks: bool = False
    """Convert scenes of official benchmarks, as held-out."""
    without_benchmark_list: bool = False
    """Convert scenes for training though no list says which ones a benchmark tests on."""
    poses: str | None = None
    """``module:Class`` of the `PoseEstimator` for pictures without cameras."""
    pose_settings: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of its constructor."""

    def __post_init__(self) -> None:
        if self.link not in get_args(Link):
            raise ValueError(f"link must be {' or '.join(get_args(Link))}, got {self.link!r}.")
        if self.max_side is not None and self.max_side < 16:
            raise ValueError(f"max_side must be at least 16 pixels, got {self.max_side}.")
        if not 1 <= self.min_frames <= self.max_frames:
            raise ValueError(
                f"expected 1 <= min_frames <= max_frames, got {self.min_frames} and {self.max_frames} frames."
            )
        if self.square_windows < 1:
            raise ValueError(f"square_windows must be at least 1, got {self.square_windows}.")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise ValueError(f"rate must be a positive number of frames per second, got {self.rate}.")

    def options(self) -> ConvertOptions:
        """What converters take, with the pose estimator made; once per process."""
        estimator = None
        if self.poses is not None:
            module, _, name = self.poses.partition(":")
            estimator = getattr(import_module(module), name)(**self.pose_settings)
        return ConvertOptions(
            cameras=self.cameras,
            square_windows=self.square_windows,
            rate=self.rate,
            include_benchmarks=self.include_benchmarks,
            without_benchmark_list=self.without_benchmark_list,
            poses=estimator,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ConvertSettings:
        """Back from plain values."""
        return cls(**{**values, "cameras": tuple(values.get("cameras", ()))})
