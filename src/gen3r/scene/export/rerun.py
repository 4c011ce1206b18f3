"""scene.rrd: a recording for Rerun, with the frames on a timeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
import torch

from gen3r.scene.export.optional_mesh import mesh_if_possible
from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.video import FRAMES_PER_SECOND
from gen3r.scene.point_cloud import pixel_footprint

CAMERA, IMAGE = "world/camera", "world/camera/image"
RGB, DEPTH = f"{IMAGE}/rgb", f"{IMAGE}/depth"
CLOUD, FRAME_CLOUD, MESH, TRAJECTORY = "world/points", "world/frame_points", "world/mesh", "world/trajectory"
PROMPT = "prompt"

_JPEG_QUALITY = 95
_PATH_COLOR = (255, 140, 0)


def write(source: ExportSource, folder: Path) -> None:
    """Write cameras, pictures, depth and points of every frame, and the cloud, the path and the mesh of all of them.

    The world is in OpenCV axes and scene units. Timelines are `frame` and `time` (seconds). Depth is 0 where there is
    no surface. The mesh needs the extra `mesh`.
    """
    recording = rr.RecordingStream("gen3r")
    recording.save(folder / "scene.rrd", _blueprint())
    recording.set_log_time_enabled(False)  # when it was written says nothing about the scene
    try:
        _log_static(recording, source)
        _log_frames(recording, source)
    finally:
        recording.disconnect()  # closes the file


def _log_static(recording: rr.RecordingStream, source: ExportSource) -> None:
    recording.log("world", rr.ViewCoordinates.RDF, static=True)
    prompt = source.scene.provenance.get("settings", {}).get("prompt")
    if prompt:
        recording.log(PROMPT, rr.TextDocument(prompt), static=True)
    cloud = source.cloud
    radius = pixel_footprint(source.scene) / 2
    recording.log(CLOUD, rr.Points3D(cloud.points.numpy(), colors=cloud.colors.numpy(), radii=radius), static=True)
    centers = source.scene.cameras.centers.numpy()
    recording.log(TRAJECTORY, rr.LineStrips3D([centers], colors=_PATH_COLOR), static=True)
    mesh = mesh_if_possible(source)
    if mesh is not None:
        recording.log(
            MESH,
            rr.Mesh3D(
                vertex_positions=mesh.vertices.numpy(),
                triangle_indices=mesh.faces.numpy().astype(np.uint32),
                vertex_normals=mesh.normals.numpy(),
                vertex_colors=mesh.colors.numpy(),
            ),
            static=True,
        )


def _log_frames(recording: rr.RecordingStream, source: ExportSource) -> None:
    scene = source.scene
    poses = scene.cameras.world_from_camera.numpy()
    points = scene.world_points()
    radius = pixel_footprint(scene) / 2
    limit = source.options.points_at_most()
    for frame in range(scene.frames):
        recording.set_time("frame", sequence=frame)
        recording.set_time("time", duration=frame / FRAMES_PER_SECOND)
        pose = poses[frame]
        recording.log(CAMERA, rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
        recording.log(
            IMAGE,
            rr.Pinhole(
                image_from_camera=scene.cameras.intrinsics[frame].numpy(),
                resolution=[scene.width, scene.height],
                camera_xyz=rr.ViewCoordinates.RDF,
            ),
        )
        recording.log(RGB, rr.Image(scene.rgb[frame].numpy()).compress(jpeg_quality=_JPEG_QUALITY))
        depth = torch.where(scene.mask[frame], scene.depth[frame], 0.0)
        recording.log(DEPTH, rr.DepthImage(depth.numpy(), meter=1.0))
        chosen = source.keep[frame].flatten().nonzero()[:, 0]
        if limit is not None:
            chosen = chosen[:: max(1, -(-len(chosen) * scene.frames // limit))]
        colors = scene.rgb[frame].flatten(0, 1)[chosen]
        recording.log(
            FRAME_CLOUD,
            rr.Points3D(points[frame].flatten(0, 1)[chosen].numpy(), colors=colors.numpy(), radii=radius),
        )


def _blueprint() -> rrb.Blueprint:
    """The world on the left, what the camera sees on the right."""
    hidden = rrb.EntityBehavior(visible=False)
    world = rrb.Spatial3DView(
        origin="world",
        name="scene",
        contents=["+ world/**", f"- {DEPTH}"],
        overrides={FRAME_CLOUD: hidden, MESH: hidden},
    )
    seen = rrb.Vertical(
        rrb.Spatial2DView(origin=IMAGE, name="colour", contents=[RGB]),
        rrb.Spatial2DView(origin=IMAGE, name="depth", contents=[DEPTH]),
    )
    return rrb.Blueprint(
        rrb.Horizontal(world, seen, column_shares=[2, 1]),
        rrb.TimePanel(timeline="frame", fps=FRAMES_PER_SECOND, loop_mode="all", state="collapsed"),
        collapse_panels=True,
    )
