"""The folder of a collection of scenes: what lies where, and what is known of each.

manifest.jsonl        a line for each order, in their order, and one for each other scene that is here
batch.json            what all scenes were made with
scenes/ID/            accepted scenes: files of docs/formats.md and made.json
rejected/ID/          the others: made.json, and the files if they are kept
clips/ID/             accepted scenes as clips to train on, if asked for
.run/                 journal and report
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gen3r.data.schema.record import RECORD_FILE
from gen3r.jobs.scenes.orders import SceneOrder
from gen3r.scene.export.folder import write_scene_folder
from gen3r.scene.export.output_folder import whole_folder
from gen3r.scene.input_views import InputViews
from gen3r.scene.scene import ARRAYS_FILE, Scene
from gen3r.whole_file import whole_file

MADE = "made.json"
MANIFEST = "manifest.jsonl"
BATCH = "batch.json"
RUN = ".run"
CLIPS_RUN = ".run-clips"
SOURCE = "gen3r generate"
"""What clips made of scenes say of where they are from."""


class Collection:
    """Paths and records of a collection."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.scenes, self.rejected, self.clips = (self.folder / name for name in ("scenes", "rejected", "clips"))

    def begin(self, made_with: Mapping[str, Any]) -> None:
        """Make the folder for scenes that are made with these settings, or go on with it.

        Raises:
            ValueError: if it holds something else, or scenes made with other settings.
        """
        path = self.folder / BATCH
        if path.exists():
            before = _read_json(path)
            differs = sorted(name for name in made_with if before.get(name) != made_with[name])
            if differs:
                told = ", ".join(f"{name} {before.get(name)!r} (now {made_with[name]!r})" for name in differs)
                raise ValueError(
                    f"the scenes in {self.folder} were made with {told}; ask for the same, or name another folder."
                )
            return
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(
                f"{self.folder} is not empty and holds no batch of scenes; choose a new folder, nothing is overwritten."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write_text(json.dumps(dict(made_with), indent=2) + "\n", encoding="utf-8")

    def records(self) -> dict[str, dict[str, Any]]:
        """What is known of all scenes that were made, by name."""
        found: dict[str, dict[str, Any]] = {}
        for place in (self.scenes, self.rejected):
            for path in sorted(place.glob(f"*/{MADE}")):
                name = path.parent.name
                if not name.startswith("."):
                    found.setdefault(name, _read_json(path) | {"id": name})
        return found

    def made(self, order: SceneOrder) -> dict[str, Any] | None:
        """What is known of the scene of an order; None if it has not been made.

        Raises:
            ValueError: if a scene of this name was made from another order.
        """
        for place in (self.scenes, self.rejected):
            path = place / order.id / MADE
            if path.exists():
                record = _read_json(path)
                if record["content"] != order.content:
                    raise ValueError(
                        f"{path.parent} was made from another request; give the line another id, or delete the folder."
                    )
                return record | {"id": order.id}
        return None

    def rename(self, name: str, new: str) -> None:
        """Give a scene another name; its clip is removed."""
        folder = self.folder_of(name)
        shutil.rmtree(self.clips / name, ignore_errors=True)
        folder.rename(folder.with_name(new))
        path = folder.with_name(new) / MADE
        with whole_file(path) as file:
            file.write_text(_made_text(_read_json(path) | {"id": new}), encoding="utf-8")

    def add(self, order: SceneOrder, scene: Scene, views: InputViews | None, record: Mapping[str, Any]) -> None:
        """Write a scene with its record; the folder appears whole."""
        with whole_folder(self.scenes / order.id) as folder:
            write_scene_folder(
                scene,
                folder,
                views=None if views is None else views.images,
                view_frames=None if views is None else views.frames,
            )
            (folder / MADE).write_text(_made_text(record), encoding="utf-8")

    def place(self, name: str, *, accepted: bool, keep: bool) -> Path:
        """Move a scene to where it belongs; returns its folder. What is rejected and not to be kept loses its files."""
        right, wrong = (self.scenes, self.rejected) if accepted else (self.rejected, self.scenes)
        if (wrong / name).exists() and (not accepted or (wrong / name / ARRAYS_FILE).exists()):
            right.mkdir(exist_ok=True)
            (wrong / name).rename(right / name)
        if not accepted:
            shutil.rmtree(self.clips / name, ignore_errors=True)
            if not keep:
                for item in (right / name).iterdir():
                    if item.is_dir():
                        shutil.rmtree(item)
                    elif item.name != MADE:
                        item.unlink()
        return self.folder_of(name)

    def keep_clips(self, names: Iterable[str]) -> None:
        """Remove clips that were written of other scenes than these; clips from elsewhere stay."""
        kept = set(names)
        for path in self.clips.glob(f"*/{RECORD_FILE}"):
            if path.parent.name not in kept and _read_json(path).get("source") == SOURCE:
                shutil.rmtree(path.parent)

    def folder_of(self, name: str) -> Path:
        """Where a scene that was made lies."""
        return next(place / name for place in (self.scenes, self.rejected) if (place / name).exists())

    def write_manifest(self, lines: list[dict[str, Any]]) -> Path:
        """Write manifest.jsonl, whole."""
        path = self.folder / MANIFEST
        with whole_file(path) as file:
            file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        return path


def read_manifest(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of a collection's manifest."""
    text = (Path(folder) / MANIFEST).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _made_text(record: Mapping[str, Any]) -> str:
    return json.dumps(dict(record), indent=2, ensure_ascii=False) + "\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); delete it.") from error
