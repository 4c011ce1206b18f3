"""Writes ScanNet++ scenes: dslr/nerfstudio beside fisheye or straightened pictures, and lists of splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene
from data.converters.raw_transforms import fisheye, transforms, write_json, write_pictures

LENS = {"k1": 0.02, "k2": -0.01, "k3": 0.003, "k4": 0.001}
BAD = 2
"""The frame that is marked so."""


def write_scannetpp(
    root: Path, scene: DrawnScene, name: str = "0a5c013435", *, straight: bool = False, tests: int = 2
) -> Path:
    """One scene, the last ``tests`` frames of which are test_frames; returns its folder."""
    folder = root / "data" / name
    kind = "undistorted_" if straight else ""
    masks = "resized_undistorted_masks" if straight else "resized_anon_masks"
    names = [f"DSC{frame + 1:05d}.JPG" for frame in range(scene.frames)]
    bend = None if straight else fisheye(**LENS)
    images = folder / "dslr" / f"resized_{kind}images"
    write_pictures(images, scene, names, bend, quality=95, subsampling=0)
    (folder / "dslr" / masks).mkdir()
    for picture in names:
        mask = np.full((scene.height, scene.width), 255, np.uint8)
        Image.fromarray(mask).save(folder / "dslr" / masks / picture.replace("JPG", "png"))
    lens = dict.fromkeys(LENS, 0.0) if straight else LENS
    model = {"camera_model": "PINHOLE" if straight else "OPENCV_FISHEYE", **lens}
    content = transforms(scene, names, more=model)
    for frame, entry in enumerate(content["frames"]):
        entry |= {"mask_path": names[frame].replace("JPG", "png"), "is_bad": frame == BAD}
    content["test_frames"] = content["frames"][scene.frames - tests :]
    del content["frames"][scene.frames - tests :]
    write_json(folder / "dslr" / "nerfstudio" / f"transforms{'_undistorted' if straight else ''}.json", content)
    return folder


def write_splits(root: Path, **names: list[str]) -> None:
    """``nvs_sem_train=[...]`` and so on."""
    (root / "splits").mkdir(parents=True)
    for name, scenes in names.items():
        (root / "splits" / f"{name}.txt").write_text("\n".join(scenes) + "\n")
