"""Gen3R: from one photo to a 3D scene. Public names load when they are first used."""

import zlib  # noqa: F401 - before pycolmap anywhere: Pillow would call half of the zlib that it brings, and crash
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gen3r.cameras import Cameras
    from gen3r.latents.grid import LatentGrid
    from gen3r.pipeline import Gen3RPipeline, SceneRequest
    from gen3r.scene.camera_files import read_cameras, write_cameras
    from gen3r.scene.export.folder import export_scene, write_scene_folder
    from gen3r.scene.images import read_image, read_images
    from gen3r.scene.scene import Scene

_PUBLIC = {
    "Cameras": "gen3r.cameras",
    "Gen3RPipeline": "gen3r.pipeline",
    "LatentGrid": "gen3r.latents.grid",
    "Scene": "gen3r.scene.scene",
    "SceneRequest": "gen3r.pipeline",
    "export_scene": "gen3r.scene.export.folder",
    "read_cameras": "gen3r.scene.camera_files",
    "read_image": "gen3r.scene.images",
    "read_images": "gen3r.scene.images",
    "write_cameras": "gen3r.scene.camera_files",
    "write_scene_folder": "gen3r.scene.export.folder",
}
__all__ = [
    "Cameras",
    "Gen3RPipeline",
    "LatentGrid",
    "Scene",
    "SceneRequest",
    "export_scene",
    "read_cameras",
    "read_image",
    "read_images",
    "write_cameras",
    "write_scene_folder",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
