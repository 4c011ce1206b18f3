"""Every converter by name. A converter is imported when it is used, not before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from gen3r.extras import Extra
from gen3r.mistakes import did_you_mean

if TYPE_CHECKING:  # listing names needs no arrays
    from gen3r.data.converting.raw import Converter


@dataclass(frozen=True, kw_only=True)
class ConverterEntry:
    """What is known of a converter without importing it."""

    name: str
    """On the command line."""
    module: str
    """Where it is; holds the constant ``CONVERTER``."""
    summary: str
    """What the dataset is, in one line."""
    download: str
    """Where a user gets it, in one line. Nothing here downloads it."""
    terms: str
    """Its licence, and where that is written."""
    source: str = ""
    """The ``source`` of its clips, which is another name for it; the same name if left out."""
    extra: Extra | None = None
    """Optional libraries it needs."""
    heeds: tuple[str, ...] = ()
    """Fields of `ConvertOptions` that make a difference to it."""


_ENTRIES: tuple[ConverterEntry, ...] = (
    ConverterEntry(
        name="realestate10k",
        source="re10k",
        module="gen3r.data.converters.re10k",
        summary="RealEstate10K: walks through homes; clips have the source re10k",
        download="https://google.github.io/realestate10k (cameras; fetch the videos' frames yourself)",
        terms="cameras CC BY 4.0: https://google.github.io/realestate10k; videos belong to their owners",
    ),
    ConverterEntry(
        name="acid",
        module="gen3r.data.converters.acid",
        summary="ACID: flights along coasts, in the form of RealEstate10K",
        download="https://infinite-nature.github.io (cameras; fetch the videos' frames yourself)",
        terms="cameras CC BY 4.0: https://infinite-nature.github.io; videos belong to their owners",
    ),
    ConverterEntry(
        name="tartanair",
        module="gen3r.data.converters.tartanair",
        summary="TartanAir, version 1: rendered flights through 18 environments, with depth; metric",
        download="https://github.com/castacks/tartanair_tools (image_left, depth_left of every environment)",
        terms="CC BY 4.0: https://theairlab.org/tartanair-dataset",
        heeds=("cameras",),
    ),
    ConverterEntry(
        name="dl3dv",
        module="gen3r.data.converters.dl3dv",
        summary="DL3DV-10K: slow walks through 10,000 real places, at any of its resolutions, unpacked or zipped",
        download="https://huggingface.co/DL3DV (accept the terms; scripts/download.py of DL3DV-10K/Dataset)",
        terms="DL3DV-10K Terms of Use, CC BY-NC 4.0: https://github.com/DL3DV-10K/Dataset",
        extra=Extra(name="data", modules=("cv2",)),
        heeds=("include_benchmarks", "without_benchmark_list"),
    ),
    ConverterEntry(
        name="mvimgnet",
        module="gen3r.data.converters.mvimgnet",
        summary="MVImgNet: objects of 238 categories filmed from half around, some with masks",
        download="https://github.com/GAP-LAB-CUHK-SZ/MVImgNet (form and password)",
        terms="MVImgNet Terms of Use, non-commercial: https://github.com/GAP-LAB-CUHK-SZ/MVImgNet",
        extra=Extra(name="data", modules=("cv2", "pycolmap")),
    ),
    ConverterEntry(
        name="synthetic",
        module="gen3r.data.converters.synthetic",
        summary="Generated rooms and places from packed files, with depth; metric",
        download="made by gen3r synth --pack",
        terms="CC0-1.0",
    ),
    ConverterEntry(
        name="kitti360",
        module="gen3r.data.converters.kitti360",
        summary="KITTI-360: long drives through suburbs, cameras ahead and fisheyes to the sides; metric",
        download="https://www.cvlibs.net/datasets/kitti-360/download.php (free account)",
        terms="CC BY-NC-SA 3.0: https://www.cvlibs.net/datasets/kitti-360/",
        extra=Extra(name="data", modules=("cv2", "yaml")),
        heeds=("cameras", "square_windows"),
    ),
    ConverterEntry(
        name="waymo",
        module="gen3r.data.converters.waymo",
        summary="Waymo Open, Perception: 20-second drives, five cameras; metric; TFRecord (v1) or Parquet (v2)",
        download="https://waymo.com/open/download (accept the terms, then gsutil)",
        terms="Waymo Dataset License Agreement for Non-Commercial Use: https://waymo.com/open/terms",
        extra=Extra(name="data", modules=("cv2", "pyarrow")),
        heeds=("cameras",),
    ),
    ConverterEntry(
        name="co3dv2",
        source="co3d",
        module="gen3r.data.converters.co3d",
        summary="CO3Dv2: objects of 51 categories filmed in a circle, with masks and depth; clips have the source co3d",
        download="https://github.com/facebookresearch/co3d (download_dataset.py)",
        terms="CC BY-NC 4.0: https://github.com/facebookresearch/co3d/blob/main/LICENSE",
    ),
    ConverterEntry(
        name="vkitti2",
        source="vkitti",
        module="gen3r.data.converters.vkitti",
        summary="Virtual KITTI 2: rendered drives in ten variations, with depth; metric; clips have the source vkitti",
        download="https://europe.naverlabs.com/proxy-virtual-worlds-vkitti-2/ (rgb, depth and textgt archives)",
        terms="CC BY-NC-SA 3.0: https://europe.naverlabs.com/proxy-virtual-worlds-vkitti-2/",
        heeds=("cameras",),
    ),
    ConverterEntry(
        name="wildrgbd",
        module="gen3r.data.converters.wildrgbd",
        summary="WildRGB-D: objects of 46 categories filmed by a phone with depth sensor, with masks; metric",
        download="https://github.com/wildrgbd/wildrgbd (download.py)",
        terms="MIT: https://github.com/wildrgbd/wildrgbd",
    ),
    ConverterEntry(
        name="scannetpp",
        module="gen3r.data.converters.scannetpp",
        summary="ScanNet++: rooms photographed through a fisheye or straightened, with masks; metric",
        download="https://kaldir.vc.cit.tum.de/scannetpp (apply for access)",
        terms="ScanNet++ Terms of Use, non-commercial: https://kaldir.vc.cit.tum.de/scannetpp",
        extra=Extra(name="data", modules=("cv2",)),
        heeds=("include_benchmarks",),
    ),
    ConverterEntry(
        name="colmap",
        module="gen3r.data.converters.colmap",
        summary="Your own COLMAP projects: pictures and a sparse model, of any camera model",
        download="your own",
        terms="yours",
        extra=Extra(name="data", modules=("cv2", "pycolmap")),
    ),
    ConverterEntry(
        name="nerfstudio",
        module="gen3r.data.converters.nerfstudio",
        summary="Your own nerfstudio, instant-ngp and Blender projects: transforms.json with lens, depth and masks",
        download="your own",
        terms="yours",
        extra=Extra(name="data", modules=("cv2",)),
    ),
    ConverterEntry(
        name="images",
        module="gen3r.data.converters.images",
        summary="Your own folders of pictures, cameras found by --poses",
        download="your own",
        terms="yours",
        heeds=("poses",),
    ),
    ConverterEntry(
        name="video",
        module="gen3r.data.converters.video",
        summary="Your own videos, cameras found by --poses",
        download="your own",
        terms="yours",
        heeds=("poses", "rate"),
    ),
)

CONVERTERS: Mapping[str, ConverterEntry] = {entry.name: entry for entry in _ENTRIES}
"""By name, in the order they are listed to users."""


def find_entry(name: str) -> ConverterEntry:
    """The entry of a dataset by its name on the command line or that of its clips' source.

    Raises:
        ValueError: for an unknown name, telling the nearest known one.
    """
    known = {**CONVERTERS} | {entry.source: entry for entry in CONVERTERS.values() if entry.source}
    if name not in known:
        raise ValueError(f"unknown dataset {name!r};{did_you_mean(name, known)} known: {', '.join(CONVERTERS)}.")
    return known[name]


def load_converter(name: str) -> Converter:
    """Import one converter.

    Raises:
        ValueError: for an unknown name, telling the nearest known one; and if a library it needs is not installed.
    """
    entry = find_entry(name)
    if entry.extra is not None:
        entry.extra.require(f"converting {name}")
    return import_module(entry.module).CONVERTER
