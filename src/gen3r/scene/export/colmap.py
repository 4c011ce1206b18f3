"""colmap/: the pictures and a COLMAP model of them, as text and as binary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import torch

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.pose_encoding import quaternion_from_rotation
from gen3r.scene.export.frames_png import frame_name, write_frames
from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.tracks import Tracks, exact_rotations, find_tracks
from gen3r.scene.point_cloud import point_cloud
from gen3r.scene.scene import PixelAnchor

USUAL_POINTS = 100_000
"""Points of a model if nobody says: what trainers of splats start from comfortably."""


def write(source: ExportSource, folder: Path) -> None:
    """Write colmap/images and colmap/sparse/0 (cameras, images, points3D, rigs, frames; .txt and .bin).

    World and camera axes are the scene's (OpenCV, world-to-camera), lengths scene units, cameras PINHOLE. Points are
    those of `find_tracks` on the cleaned cloud; a keypoint is the exact projection of its point.
    """
    target = folder / "colmap"
    model = target / "sparse" / "0"
    model.mkdir(parents=True)
    write_frames(source.scene, target)
    limit = source.options.points_at_most(USUAL_POINTS)
    config = replace(source.cloud_config, max_points=limit, anchor=PixelAnchor.CENTRE)
    cloud = point_cloud(source.scene, config, source.keep)
    reconstruction = to_reconstruction(source.scene.cameras, find_tracks(source.scene, source.keep, cloud))
    reconstruction.write_text(model)
    reconstruction.write_binary(model)


def to_reconstruction(cameras: Cameras, tracks: Tracks) -> pycolmap.Reconstruction:
    """The cameras [F] and their tracks as COLMAP's own model; image i + 1 is frame i, named like its picture."""
    reconstruction = pycolmap.Reconstruction()
    camera_of_frame = _add_cameras(reconstruction, cameras)
    poses = exact_rotations(cameras).extrinsics
    quaternions = quaternion_from_rotation(poses[:, :3, :3]).numpy()
    keypoint = torch.empty_like(tracks.point)
    for frame in range(len(cameras)):
        here = tracks.frame == frame
        keypoint[here] = torch.arange(int(here.sum()))
        image = pycolmap.Image(
            name=frame_name(frame),
            keypoints=tracks.pixels[here].numpy(),
            camera_id=camera_of_frame[frame],
            image_id=frame + 1,
        )
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(quaternions[frame]), poses[frame, :3, 3].numpy())
        reconstruction.add_image_with_trivial_frame(image, pose)
    lengths = np.bincount(tracks.point.numpy(), minlength=len(tracks.points))
    seen_by = zip((tracks.frame + 1).tolist(), keypoint.tolist(), strict=True)
    for xyz, color, length in zip(tracks.points.numpy(), tracks.colors.numpy(), lengths.tolist(), strict=True):
        track = pycolmap.Track([pycolmap.TrackElement(*next(seen_by)) for _ in range(length)])
        reconstruction.add_point3D(xyz, track, color)
    reconstruction.update_point_3d_errors()
    return reconstruction


def _add_cameras(reconstruction: pycolmap.Reconstruction, cameras: Cameras) -> list[int]:
    """One PINHOLE camera, with its own rig, per distinct intrinsics; returns the camera of each frame."""
    intrinsics = cameras.intrinsics.double()
    parameters = torch.stack([intrinsics[:, i, j] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))], dim=1)
    known: dict[tuple[float, ...], int] = {}
    for row in parameters.tolist():
        if tuple(row) not in known:
            known[tuple(row)] = len(known) + 1
            camera = pycolmap.Camera(
                camera_id=known[tuple(row)], model="PINHOLE", width=cameras.width, height=cameras.height, params=row
            )
            reconstruction.add_camera_with_trivial_rig(camera)
    return [known[tuple(row)] for row in parameters.tolist()]
