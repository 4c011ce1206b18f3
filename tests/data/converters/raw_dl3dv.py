"""Writes scenes of DL3DV-10K: intrinsics of full-size frames beside small pictures, folders or zips."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from data.converters.fixture import DrawnScene
from data.converters.raw_transforms import brown, transforms, write_json, write_pictures

FULL_SIZE = 8
"""How many times larger the frames were that the intrinsics are for."""


def scene_hash(index: int) -> str:
    """A name as the dataset has them."""
    return f"{index:02x}" * 32


def write_dl3dv(
    root: Path,
    scene: DrawnScene,
    index: int = 0,
    *,
    batch: str = "1K",
    below: str = "",
    images: str = "images_8",
    lens: dict[str, float] | None = None,
    poses: np.ndarray | None = None,
    **more: Any,
) -> Path:
    """One scene; returns the folder with its transforms.json. ``below`` is that folder, seen from the scene's."""
    lens = {"k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0} | (lens or {})
    folder = root / batch / scene_hash(index) / below
    names = [f"frame_{frame + 1:05d}.png" for frame in range(scene.frames)]
    write_pictures(folder / images, scene, names, brown(**lens))
    order = np.random.default_rng(0).permutation(scene.frames)
    content = transforms(
        scene,
        [f"images/{name}" for name in names],
        size=(FULL_SIZE * scene.height, FULL_SIZE * scene.width),
        poses=poses,
        more={"camera_model": "OPENCV", **lens, "applied_transform": np.eye(4)[:3].tolist(), **more},
    )
    content["frames"] = [content["frames"][i] | {"colmap_im_id": int(i)} for i in order]
    write_json(folder / "transforms.json", content)
    return folder


def zipped(folder: Path, *, inner: bool) -> Path:
    """The scene's folder as a zip beside it, the folder's name in the paths or not; the folder is removed."""
    base = folder.parent if inner else folder
    archive = shutil.make_archive(str(folder), "zip", base, folder.name if inner else ".")
    shutil.rmtree(folder)
    return Path(archive)


def write_benchmark_list(folder: Path, *indices: int, count: int = 140) -> None:
    """benchmark-meta.csv with the scenes of ``indices`` and others, ``count`` in all."""
    others = [f"f{index:063x}" for index in range(count - len(indices))]
    hashes = [scene_hash(index) for index in indices] + others
    (folder / "benchmark-meta.csv").write_text("hash,batch\n" + "".join(f"{name},1K\n" for name in hashes))
