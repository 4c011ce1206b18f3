"""Every dataset of the list as downloaded: small raw trees with the known scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data.converters.fixture import make_scene
from data.converters.raw_acid import write_flat
from data.converters.raw_captures import write_pictures, write_video
from data.converters.raw_co3d import write_annotations, write_sequence
from data.converters.raw_colmap import write_colmap
from data.converters.raw_dl3dv import write_benchmark_list, write_dl3dv
from data.converters.raw_kitti360 import write_calibration, write_drive
from data.converters.raw_mvimgnet import write_mvimgnet
from data.converters.raw_nerfstudio import write_nerfstudio
from data.converters.raw_re10k import write_clip
from data.converters.raw_scannetpp import write_scannetpp
from data.converters.raw_synthetic import write_pack
from data.converters.raw_tartanair import field_of_90_degrees, write_trajectory
from data.converters.raw_vkitti import write_vkitti
from data.converters.raw_waymo import write_tfrecord
from data.converters.raw_wildrgbd import write_wildrgbd

SCENE = make_scene(frames=3, width=64, height=48)


@dataclass(frozen=True, kw_only=True)
class RawTree:
    """How a test makes a dataset as downloaded."""

    write: Callable[[Path], object]
    """Writes it into a folder that is there."""
    clips: int = 1
    """Scenes in it."""
    options: tuple[str, ...] = ()
    """More words of the command."""


def write_co3d(root: Path) -> None:
    write_annotations(root, write_sequence(root, SCENE), quality={"110_13051_23361": 0.9})


def write_dl3dv_with_list(root: Path) -> None:
    write_dl3dv(root, SCENE, lens={"k1": -0.05})
    write_benchmark_list(root)


def write_kitti360(root: Path) -> None:
    write_calibration(root, SCENE)
    write_drive(root, SCENE)


TREES: Mapping[str, RawTree] = {
    "realestate10k": RawTree(write=lambda root: write_clip(root, SCENE, split="train")),
    "acid": RawTree(write=lambda root: write_flat(root, SCENE, ["00000000000000a0", "00000000000000a1"]), clips=2),
    "dl3dv": RawTree(write=write_dl3dv_with_list),
    "tartanair": RawTree(write=lambda root: write_trajectory(root, field_of_90_degrees(3))),
    "synthetic": RawTree(write=lambda root: write_pack(root / "pack.safetensors", SCENE)),
    "kitti360": RawTree(write=write_kitti360, clips=2, options=("--cameras", "00", "01")),
    "waymo": RawTree(write=lambda root: write_tfrecord(root, SCENE), clips=2),
    "co3dv2": RawTree(write=write_co3d),
    "vkitti2": RawTree(write=lambda root: write_vkitti(root, SCENE), clips=2),
    "wildrgbd": RawTree(write=lambda root: write_wildrgbd(root, SCENE)),
    "mvimgnet": RawTree(write=lambda root: write_mvimgnet(root, SCENE)),
    "scannetpp": RawTree(write=lambda root: write_scannetpp(root, SCENE, tests=0)),
    "colmap": RawTree(write=lambda root: write_colmap(root, SCENE)),
    "nerfstudio": RawTree(write=lambda root: write_nerfstudio(root, SCENE)),
    "images": RawTree(write=write_pictures, options=("--poses", "pycolmap")),
    "video": RawTree(write=lambda root: write_video(root / "walk.mp4"), options=("--poses", "pycolmap")),
}
"""For every converter of the list; one without an entry fails."""
