"""Names of models and where their folders lie."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PIPELINE_FILE = "pipeline.json"
DEFAULT_MODEL = "tiny"
SHIPPED_MODELS = ("tiny",)
"""Models that travel inside the package, under ``gen3r/shipped``."""


def shipped_folder(name: str) -> Path:
    """The folder of a shipped model (it may be absent in a stripped installation)."""
    return Path(str(resources.files("gen3r"))) / "shipped" / name


def present_models() -> dict[str, Path]:
    """The shipped models that are really on this machine, by name."""
    folders = {name: shipped_folder(name) for name in SHIPPED_MODELS}
    return {name: folder for name, folder in folders.items() if (folder / PIPELINE_FILE).is_file()}


def resolve_model(name: str | Path) -> Path:
    """The folder of a model given by name, or by the path of a model folder.

    Raises:
        ValueError: if it is neither, listing the models that are present.
    """
    present = present_models()
    if str(name) in present:
        return present[str(name)]
    folder = Path(name)
    if (folder / PIPELINE_FILE).is_file():
        return folder
    found = "a folder without pipeline.json" if folder.is_dir() else "no such folder"
    raise ValueError(
        f"expected a model name ({', '.join(present) or 'none is installed'}) or a model folder with {PIPELINE_FILE}, "
        f"got {str(name)!r}: {found}."
    )
