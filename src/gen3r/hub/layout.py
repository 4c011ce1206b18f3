"""Which kind of model folder lies somewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gen3r.hub.files import ModelFolderError

Layout = Literal["gen3r", "official"]
PIPELINE_FILE = "pipeline.json"
OFFICIAL_INDEX = "model_index.json"
VGGT_COMPANION = "vggt"
RUN_EXPORT = "export"
"""Where a training run keeps its networks."""

_SIGNS: dict[Layout, Callable[[Path], bool]] = {
    "gen3r": lambda path: (path / PIPELINE_FILE).is_file(),
    "official": lambda path: (
        (path / OFFICIAL_INDEX).is_file() or ((path / "transformer").is_dir() and (path / "geo_adapter").is_dir())
    ),
}


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A model on this machine."""

    path: Path
    """Its folder."""
    layout: Layout
    """"gen3r": ``pipeline.json`` and one folder per network, as this package writes. "official": the layout of
    JaceyH919/Gen3R."""
    companions: Mapping[str, Path] = field(default_factory=dict)
    """Folders of networks that the model needs and its own folder lacks: "vggt"."""


def detect_layout(path: Path) -> Layout:
    """The layout of a model folder.

    Raises:
        ModelFolderError: if the folder is not there or is no model folder.
    """
    for layout, fits in _SIGNS.items():
        if fits(path):
            return layout
    if (path / RUN_EXPORT).is_dir():
        raise ModelFolderError(
            f"expected a model folder, but {path} is a training run; put its networks and those it was trained with "
            f"together by gen3r models assemble {path} MODEL --preset PRESET --out FOLDER."
        )
    found = "a folder with neither" if path.is_dir() else "no such folder"
    raise ModelFolderError(
        f"expected a model folder with {PIPELINE_FILE} (ours) or {OFFICIAL_INDEX} (official) at {path}, got {found}; "
        "check the path, or fetch the model again."
    )


def as_model_folder(folder: ModelFolder | Path) -> ModelFolder:
    """A bare path with its layout."""
    return folder if isinstance(folder, ModelFolder) else ModelFolder(path=folder, layout=detect_layout(folder))
