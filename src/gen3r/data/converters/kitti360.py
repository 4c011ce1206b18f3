"""KITTI-360: long drives through suburbs, two rectified cameras to the front and two fisheyes to the sides, metric.

::

    calibration/{perspective.txt, calib_cam_to_pose.txt, image_02.yaml, image_03.yaml}
    data_2d_raw/2013_05_28_drive_0000_sync/image_00/data_rect/0000000000.png   and image_00/timestamps.txt
                                          /image_02/data_rgb/0000000000.png
    data_poses/2013_05_28_drive_0000_sync/{poses.txt, cam0_to_world.txt}

With poses.txt (frame, IMU to world), calib_cam_to_pose.txt (unrectified camera to IMU) and the rectifying rotations
``R_rect``, a camera's pose is ``pose @ cam_to_pose @ inv(R_rect)``, without ``R_rect`` for the fisheyes; where only
cam0_to_world.txt is there, the pose of the IMU is worked out from it. The calibration counts pixels from the centre of
the first: half a pixel is added. Frames without pose (the car stands still) end a scene, and so do `LONGEST` frames.
Fisheyes become 90-degree pinholes. Drives 0008 and 0018, which the benchmarks test on, are held out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from gen3r.data.clip import Split
from gen3r.data.converters.kitti360_calibration import CAMERAS, FISHEYES, Rig, read_rig
from gen3r.data.converters.kitti360_lenses import SquareWindow
from gen3r.data.converters.side_files import (
    as_pose,
    brief,
    estimated_bytes,
    is_rigid,
    numbered_pictures,
    plain_name,
    read_numbers,
    read_text,
)
from gen3r.data.converting.raw import (
    ConvertOptions,
    Findings,
    Found,
    Problem,
    RawCamera,
    RawFrame,
    RawScene,
    UnusableScene,
)

HELD_OUT = ("0008", "0018")
LONGEST = 200
"""Frames of a scene at most; a longer stretch is divided evenly."""
_DRIVE = re.compile(r".*_drive_\d{4}_sync")


class Kitti360:
    """Reads KITTI-360."""

    name = "kitti360"
    licence = "CC-BY-NC-SA-3.0"

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per stretch of neighbouring frames, camera and square window.

        Raises:
            ValueError: if this is not the dataset, and for cameras or windows that it does not have.
        """
        drives = _drives(source)
        if not drives:
            raise ValueError(
                f"{source} is no KITTI-360: expected data_2d_raw/2013_05_28_drive_0000_sync/image_00/data_rect/, "
                "data_poses/ and calibration/ there."
            )
        cameras = _chosen(options.cameras)
        problems: list[Problem] = []
        scenes: list[Found] = []
        try:
            rig = read_rig(source / "calibration")
        except UnusableScene as error:
            raise ValueError(f"{source / 'calibration'}: {error}") from error
        for drive in drives:
            try:
                poses, notes = _imu_poses(source, drive, rig)
            except UnusableScene as error:
                problems.append(Problem(place=f"data_poses/{drive}", reason=str(error)))
                continue
            problems += [Problem(place=f"data_poses/{drive}", reason=note) for note in notes]
            for camera in cameras:
                pictures = _pictures(source, drive, camera)
                stretches = list(_stretches(sorted(pictures.keys() & poses.keys())))
                alone = [stretch[0] for stretch in stretches if len(stretch) == 1]
                reason = ""
                if not pictures:
                    reason = "there are no pictures" if options.cameras else ""  # else it was not downloaded
                elif camera not in rig:
                    reason = "calibration/ does not have this camera"
                elif alone:
                    reason = f"frames without a neighbour that has picture and pose: {brief(alone)}"
                if reason:
                    problems.append(Problem(place=f"data_2d_raw/{drive}/image_{camera}", reason=reason))
                for stretch in stretches if camera in rig else ():
                    if len(stretch) > 1:
                        size = estimated_bytes(pictures[frame] for frame in stretch)
                        scenes += _scenes(drive, camera, stretch, _windows(rig, camera, options), size)
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one scene.

        Raises:
            UnusableScene: for unreadable calibration or poses, and if pictures are gone since they were found.
        """
        drive, camera, stretch, *window = found.place.split("/")
        first, last = stretch.split("-")
        rig = read_rig(source / "calibration")
        poses, _ = _imu_poses(source, drive, rig)
        pictures = _pictures(source, drive, camera)
        ids = range(int(first), int(last) + 1)
        gone = [frame for frame in ids if frame not in pictures or frame not in poses]
        if gone:
            raise UnusableScene(f"frames {brief(gone)} are gone since they were found.")
        device = rig[camera]
        lens = SquareWindow(left=int(window[0])) if window else device.lens
        times = _times(source / "data_2d_raw" / drive / f"image_{camera}" / "timestamps.txt", ids)
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="metric",
            frames=tuple(
                RawFrame(
                    picture=pictures[frame],
                    camera=RawCamera(
                        intrinsics=device.intrinsics,
                        world_from_camera=poses[frame] @ device.imu_from_camera,
                        height=device.height,
                        width=device.width,
                        lens=lens,
                    ),
                    time=times.get(frame),
                )
                for frame in ids
            ),
            labels={"category": "street", "place": "Karlsruhe"},
        )


def _chosen(cameras: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(camera.removeprefix("image_") for camera in cameras) or CAMERAS
    unknown = [camera for camera in chosen if camera not in CAMERAS]
    if unknown:
        raise ValueError(f"KITTI-360 has the cameras {', '.join(CAMERAS)}, got {brief(unknown)}.")
    return chosen


def _drives(source: Path) -> list[str]:
    return sorted(path.name for path in source.glob("data_2d_raw/*") if _DRIVE.fullmatch(path.name))


def _pictures(source: Path, drive: str, camera: str) -> dict[int, Path]:
    kind = "data_rgb" if camera in FISHEYES else "data_rect"
    return numbered_pictures(source / "data_2d_raw" / drive / f"image_{camera}" / kind)


def _imu_poses(
    source: Path, drive: str, rig: Mapping[str, Rig]
) -> tuple[dict[int, Float64[np.ndarray, "4 4"]], tuple[str, ...]]:
    """The pose of the IMU in the world by frame, and what was left out."""
    folder = source / "data_poses" / drive
    by_imu = folder / "poses.txt"
    if by_imu.is_file():
        table = read_numbers(by_imu, 12)
        camera_from_imu = np.eye(4)
    else:
        table = read_numbers(folder / "cam0_to_world.txt", 16)
        camera_from_imu = np.linalg.inv(rig["00"].imu_from_camera)
    poses = {frame: as_pose(row) @ camera_from_imu for frame, row in table.rows.items()}
    bent = {frame for frame, pose in poses.items() if not is_rigid(pose)}
    notes = table.notes + ((f"poses that are no rotation and translation: {brief(sorted(bent))}",) if bent else ())
    return {frame: pose for frame, pose in poses.items() if frame not in bent}, notes


def _stretches(frames: list[int]) -> Iterator[list[int]]:
    """Runs of neighbouring frames, none longer than `LONGEST`."""
    breaks = [i for i in range(1, len(frames)) if frames[i] != frames[i - 1] + 1]
    for start, stop in zip([0, *breaks], [*breaks, len(frames)], strict=True):
        run = frames[start:stop]
        parts = -(-len(run) // LONGEST)
        yield from (run[len(run) * i // parts : len(run) * (i + 1) // parts] for i in range(parts))


def _windows(rig: Mapping[str, Rig], camera: str, options: ConvertOptions) -> tuple[int | None, ...]:
    """The first columns of the windows; None alone for the whole picture."""
    count, device = options.square_windows, rig[camera]
    if count == 1 or camera in FISHEYES:
        return (None,)
    if not 1 < count <= device.width // device.height:
        raise ValueError(
            f"square_windows must be 1 (the whole picture) to {device.width // device.height}, as many as fit side by "
            f"side into {device.width}x{device.height}, got {count}."
        )
    space = device.width - device.height
    return tuple(round(space * index / (count - 1)) for index in range(count))


def _scenes(
    drive: str, camera: str, stretch: list[int], windows: tuple[int | None, ...], size: int | None
) -> Iterator[Found]:
    number = drive.removesuffix("_sync")[-4:]
    split: Split = "held-out" if number in HELD_OUT else "train"
    for window in windows:
        suffix = () if window is None else (f"x{window:04d}",)
        yield Found(
            name=plain_name(f"drive{number}", f"camera{camera}", f"{stretch[0]:010d}", *suffix),
            place="/".join([drive, camera, f"{stretch[0]}-{stretch[-1]}", *([] if window is None else [str(window)])]),
            split=split,
            frames=len(stretch),
            size=size,
        )


def _times(path: Path, frames: range) -> dict[int, float]:
    """Seconds by frame, counted from the drive's first picture; nothing unless all frames have one."""
    seconds = _seconds(path) if path.is_file() else ()
    return {frame: seconds[frame] for frame in frames} if frames[-1] < len(seconds) else {}


def _seconds(path: Path) -> tuple[float, ...]:
    """The lines of timestamps.txt, dates with nine digits behind the second, as seconds after the first."""
    try:
        dates = np.array(
            [line.strip() for line in read_text(path).splitlines() if line.strip()], dtype="datetime64[ns]"
        )
    except (ValueError, UnusableScene):
        return ()
    return tuple(((dates - dates[0]) / np.timedelta64(1, "s")).tolist()) if len(dates) else ()


CONVERTER = Kitti360()
