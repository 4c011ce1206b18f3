"""What both formats of Waymo Open say of a segment, in one form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gen3r.data.converters.side_files import is_rigid
from gen3r.data.converting.lenses import OpenCVLens
from gen3r.data.converting.raw import RawCamera

CAMERAS = {"FRONT": 1, "FRONT_LEFT": 2, "FRONT_RIGHT": 3, "SIDE_LEFT": 4, "SIDE_RIGHT": 5}
"""Numbers of the cameras by name."""
_PLACES = {
    "sf": "San Francisco",
    "phx": "Phoenix",
    "mtv": "Mountain View",
    "la": "Los Angeles",
    "det": "Detroit",
    "sea": "Seattle",
    "chd": "Chandler",
}
_VEHICLE_AXES_FROM_OPENCV = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""Waymo's cameras look along +x, with y to the left and z up."""


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What is known of a drive; empty where it is not."""

    time_of_day: str = ""
    """"Day", "Dawn/Dusk" or "Night"."""
    location: str = ""
    """"location_sf"."""
    weather: str = ""
    """"sunny" or "rain"."""

    @property
    def labels(self) -> dict[str, str]:
        """In plain words."""
        place = self.location.removeprefix("location_").lower()
        weather, time = self.weather.lower(), self.time_of_day.lower()
        words = {
            "weather": {"rain": "rainy"}.get(weather, weather),
            "time of day": {"day": "daytime"}.get(time, time.replace("/", " or ")),
            "place": "" if place == "other" else _PLACES.get(place, place),
        }
        return {"category": "street", **{name: word for name, word in words.items() if word}}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """One camera on the car.

    Raises:
        ValueError: on construction, for numbers that are none of a camera.
    """

    camera: int
    """Its number."""
    intrinsic: Float64[np.ndarray, " 9"]
    """f_u f_v c_u c_v k1 k2 p1 p2 k3, pixels counted from the corner."""
    vehicle_from_camera: Float64[np.ndarray, "4 4"]
    """Where it is on the car, in Waymo's camera axes; metres."""
    height: int
    """Rows of its pictures."""
    width: int
    """Columns of its pictures."""

    def __post_init__(self) -> None:
        if not np.isfinite(self.intrinsic).all() or not is_rigid(self.vehicle_from_camera):
            raise ValueError("expected finite intrinsics and an extrinsic that is a rotation and a translation")

    def at(self, world_from_vehicle: Float64[np.ndarray, "4 4"]) -> RawCamera:
        """The camera when the car is there."""
        f_u, f_v, c_u, c_v, *coefficients = self.intrinsic.tolist()
        return RawCamera(
            intrinsics=np.array([[f_u, 0.0, c_u], [0.0, f_v, c_v], [0.0, 0.0, 1.0]]),
            world_from_camera=world_from_vehicle @ self.vehicle_from_camera @ _VEHICLE_AXES_FROM_OPENCV,
            height=self.height,
            width=self.width,
            lens=OpenCVLens(coefficients=tuple(coefficients)) if any(coefficients) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture, still on disk."""

    camera: int
    """Number of the camera."""
    micros: int
    """Time of the frame it belongs to in microseconds."""
    time: float
    """Seconds when the car was at the pose; 0 if unknown."""
    world_from_vehicle: Float64[np.ndarray, "4 4"] | None
    """Where the car was; metres."""
    start: int
    """First byte in a TFRecord file, or row in a Parquet file."""
    stop: int
    """Behind the last byte, or row."""
