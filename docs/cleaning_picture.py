"""Draws docs/pictures/cleaning.jpg: one reconstruction at every level of cleaning, from the same place.

python docs/cleaning_picture.py
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gen3r import Gen3RPipeline
from gen3r.cameras.cameras import Cameras
from gen3r.data.synthetic import generate_clip
from gen3r.scene.cleaning import CLEANING_LEVELS
from gen3r.scene.export.sheet import Sheet
from gen3r.scene.point_cloud import PointCloud, PointCloudConfig, pixel_footprint, point_cloud
from gen3r.scene.scene import Scene
from gen3r.scene.splat import shaded, splat
from gen3r.scene.viewpoints import outside_camera

SEED = 900_000_011
PANEL = 720, 760
OUT = Path(__file__).parent / "pictures" / "cleaning.jpg"


def panel(cloud: PointCloud, scene: Scene, camera: Cameras) -> Image.Image:
    """The cloud from outside, at twice the size and averaged down."""
    diameters = torch.full((len(cloud),), 2.0 * pixel_footprint(scene))
    picture = shaded(cloud.colors, *splat(cloud.points, diameters, camera), background=(240, 242, 245))
    return Image.fromarray(picture.numpy()).resize((PANEL[1], PANEL[0]), Image.Resampling.BOX)


def main() -> None:
    """Reconstruct, clean, draw."""
    pipeline = Gen3RPipeline.from_pretrained("tiny")
    grid = pipeline.grid()
    clip = generate_clip(SEED, grid.frames, grid.height, grid.width)
    scene = pipeline.reconstruct(clip.rgb.permute(0, 3, 1, 2) / 255)
    clouds = {name: point_cloud(scene, PointCloudConfig(cleaning=level)) for name, level in CLEANING_LEVELS.items()}
    camera = outside_camera(
        clouds["standard"].points,
        scene.cameras,
        azimuth=32,
        elevation=34,
        height=2 * PANEL[0],
        width=2 * PANEL[1],
    )
    sheet = Sheet()
    labels = [f"{name}: {len(cloud):,} points" for name, cloud in clouds.items()]
    pictures = [panel(cloud, scene, camera) for cloud in clouds.values()]
    for start in (0, 2):
        sheet.tiles([np.asarray(picture) for picture in pictures[start : start + 2]], labels[start : start + 2], 2)
    sheet.picture().save(OUT, quality=88)


if __name__ == "__main__":
    main()
