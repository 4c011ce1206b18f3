"""The unit of work that turns scenes of a collection into clips to train on."""

from __future__ import annotations

import json
from typing import Any

from gen3r.data.schema.writer import ClipWriter
from gen3r.jobs.scenes.collection import SOURCE, Collection
from gen3r.scene.scene import Scene


class WriteClip:
    """Writes ``clips/ID`` of a collection from ``scenes/ID``. Settings: ``out`` and ``licence``."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.collection = Collection(settings["out"])
        self.licence = settings["licence"]

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Write the clip unless it is there."""
        name = item["key"]
        clip = self.collection.clips / name
        if not clip.exists():
            scene = Scene.load(self.collection.scenes / name)
            write_clip(scene, clip, self.licence)
        return {"clip": name}


def write_clip(scene: Scene, folder: Any, licence: str) -> None:
    """Write a scene as a clip folder (see `gen3r.data.schema`): frames, depth, cameras, and the prompt as caption."""
    made, settings = scene.provenance, scene.provenance["settings"]
    prompt = str(settings.get("prompt", ""))
    with ClipWriter(folder, encoding="jpeg") as clip:
        for rgb, depth, mask in zip(scene.rgb, scene.depth, scene.mask, strict=True):
            clip.add_picture(rgb.numpy())
            clip.add_depth(depth.where(mask, 0.0).numpy())
        clip.finish(
            scene.cameras,
            [prompt] if prompt else [],
            caption_kind="given" if prompt else "none",
            split="train",
            source=SOURCE,
            licence=licence,
            scale_kind="unknown",
            labels={"model": str(made["model"]), "revision": str(made["revision"])},
            notes=(json.dumps({"seed": settings.get("seed")}),),
        )
