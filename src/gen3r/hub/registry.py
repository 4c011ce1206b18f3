"""From what a user calls a model to its folder on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from gen3r.hub.entries import GEN3R, MODELS, ModelEntry, Part
from gen3r.hub.layout import PIPELINE_FILE, ModelFolder, detect_layout
from gen3r.hub.source import DownloadPlan, Source

DEFAULT_MODEL = "tiny"
SHIPPED_MODELS = ("tiny",)
"""Models that travel inside the package, under ``gen3r/shipped``."""
HARMLESS_FILES = ("*.safetensors", "*.json", "*.model")
"""All that is ever fetched from a repository that is not in the registry: weights, configs and tokenizers, no code and
nothing pickled."""
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def shipped_folder(name: str) -> Path:
    """The folder of a shipped model (it may be absent in a stripped installation)."""
    return Path(str(resources.files("gen3r"))) / "shipped" / name


def present_models() -> dict[str, Path]:
    """The shipped models that are really on this machine, by name."""
    folders = {name: shipped_folder(name) for name in SHIPPED_MODELS}
    return {name: folder for name, folder in folders.items() if (folder / PIPELINE_FILE).is_file()}


def find_entry(name: str) -> ModelEntry | None:
    """The registered model of this name or repository, None if there is none."""
    repositories = {entry.repository.lower(): entry for entry in MODELS.values() if entry.repository is not None}
    return MODELS.get(name) or repositories.get(name.lower())


def source_of(name: str) -> Source:
    """What to fetch for a model given by its name or by a repository id, registered or not.

    Raises:
        ValueError: if nothing can be fetched under this name.
    """
    entry = find_entry(name)
    if entry is None and REPOSITORY.fullmatch(name):
        return Source(repository=name, wanted=HARMLESS_FILES)
    if entry is None:
        raise ValueError(f"expected a model name ({', '.join(MODELS)}) or a repository id, got {name!r}.")
    if entry.unreleased is not None:
        raise ValueError(f"{name} cannot be had: {entry.unreleased}.")
    if entry.repository is None:
        raise ValueError(
            f"{name} travels inside the package and was not found there; install gen3r again with its weights."
        )
    parts = entry.parts.values()
    return Source(
        repository=entry.repository,
        wanted=tuple(pattern for part in parts for pattern in (*part.files, *part.extra)),
        required=tuple(pattern for part in parts if part.companion is None for pattern in part.files),
        revision=entry.revision,
    )


def fetch_model(
    name: str,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    announce: Callable[[DownloadPlan], None] | None = None,
) -> Path:
    """The folder of a model of the hub, whole or in parts, downloaded where needed and checked; without companions.

    Args:
        name: a registered name, or a repository id.
        revision: commit, branch or tag instead of the pinned one.
        local_files_only: never use the network.
        announce: called with what is to be downloaded before it begins.

    Raises:
        ValueError: if nothing can be fetched under this name, or (``ModelFetchError``) something is in the way.
    """
    from gen3r.hub.fetch import fetch

    return fetch(source_of(name), revision=revision, local_files_only=local_files_only, announce=announce)


def fetch_companions(
    folder: Path,
    parts: Mapping[str, Part],
    *,
    local_files_only: bool = False,
    announce: Callable[[DownloadPlan], None] | None = None,
) -> dict[str, Path]:
    """Folders of the parts that a model folder lacks and that other models provide, downloaded where needed."""
    return {
        name: fetch_model(companion, local_files_only=local_files_only, announce=announce)
        for name, companion in needed_companions(folder, parts).items()
    }


def needed_companions(folder: Path, parts: Mapping[str, Part]) -> dict[str, str]:
    """Models that have to provide parts which a folder lacks, by part."""
    return {
        name: part.companion
        for name, part in parts.items()
        if part.companion is not None and not all(any(folder.glob(pattern)) for pattern in part.files)
    }


def resolve_model(
    name: str | Path | ModelFolder,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    announce: Callable[[DownloadPlan], None] | None = None,
) -> ModelFolder:
    """The folder of a whole model, with what it needs from other models; downloaded where it is not here yet.

    Args:
        name: the path of a model folder in either layout, a registered name, or a repository id on the hub. A folder
            that exists wins over a repository of the same name. An already resolved folder comes back as it is.
        revision: commit, branch or tag on the hub instead of the pinned one; only for models of the hub.
        local_files_only: never use the network; ``HF_HUB_OFFLINE=1`` does the same for a whole process.
        announce: called with what is to be downloaded before it begins.

    Raises:
        ValueError: if it is no model, no scenes can be generated with it, it has no revisions and one is asked for, or
            (``ModelFetchError``) it cannot be fetched.
    """
    if isinstance(name, ModelFolder):
        refuse_revision(revision, name.path)
        return name
    entry = find_entry(str(name))
    if entry is None and (Path(name).is_dir() or not REPOSITORY.fullmatch(str(name))):
        folder = _local_folder(Path(name))
        refuse_revision(revision, folder)
    elif str(name) in present_models():
        folder = present_models()[str(name)]
        refuse_revision(revision, folder)
    else:
        from gen3r.hub.fetch_errors import ModelFetchError

        _check_whole(entry)
        try:
            folder = fetch_model(str(name), revision=revision, local_files_only=local_files_only, announce=announce)
        except ModelFetchError as error:
            if entry is not None:
                raise
            raise ModelFetchError(f"there is no folder {name}, so it was taken for a repository: {error}") from error
    layout = detect_layout(folder)
    parts = GEN3R.parts if layout == "official" else {}
    return ModelFolder(
        path=folder,
        layout=layout,
        companions=fetch_companions(folder, parts, local_files_only=local_files_only, announce=announce),
    )


def refuse_revision(revision: str | None, folder: Path) -> None:
    """A folder on this machine is one version; ValueError if another is asked for."""
    if revision is not None:
        raise ValueError(
            f"expected a model of the hub for revision {revision!r}, got the folder {folder}, which has no revisions; "
            "leave the revision out, or name the model's repository (owner/name)."
        )


def _local_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise ValueError(
            f"expected a model name ({', '.join(MODELS)}), a repository id or a model folder, got {str(folder)!r}: no "
            f"such folder; gen3r models list tells which models are here."
        )
    return folder


def _check_whole(entry: ModelEntry | None) -> None:
    if entry is not None and not entry.whole:
        wholes = ", ".join(other.name for other in MODELS.values() if other.whole)
        raise ValueError(
            f"{entry.name} is {entry.summary}; expected a model that generates scenes: {wholes}, or a model folder."
        )
