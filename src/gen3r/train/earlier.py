"""Networks that a run finds ready: of earlier runs, of model folders in any layout, of networks published alone.

Only configs and headers are read to find them; weights are read by ``Part.load``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gen3r.hub.base import open_base_model
from gen3r.hub.files import read_json_object
from gen3r.hub.folder import CONFIG_FILE, WEIGHTS_STEM
from gen3r.hub.layout import OFFICIAL_INDEX, RUN_EXPORT, ModelFolder
from gen3r.hub.networks import KINDS, TEXT_ENCODER, TOKENIZER, VGGT_FOLDER, Part
from gen3r.hub.official import HUB_STEM, OFFICIAL_PARTS, open_official_part
from gen3r.hub.registry import find_entry, present_models
from gen3r.hub.stored import open_weights
from gen3r.hub.stream import SAME_NAMES

Parts = dict[str, Part]


def find_parts(places: Sequence[str | Path]) -> Parts:
    """The networks in some folders, by kind (see ``hub.networks.KINDS``); the first folder that has one wins.

    A place is a run or its export, a model folder (ours or official), the folder of one network (ours, or the published
    VGGT-1B), the folder of the base model Wan2.1-Fun Control-Camera, or the name of a model that was downloaded.
    Folders without networks (runs that have not exported yet) are passed over.

    Raises:
        ValueError: for a network that is damaged or incomplete.
    """
    found: Parts = {}
    for place in places:
        for kind, part in open_parts(folder_of(place)).items():
            found.setdefault(kind, part)
    return found


def open_parts(folder: Path) -> Parts:
    """The networks in one folder; none if it is not of a known kind."""
    return next((parts for read in _READERS if (parts := read(folder))), {})


def folder_of(place: str | Path) -> Path:
    """The folder of a place, which may be the name of a downloaded model.

    Raises:
        ValueError: (``ModelFetchError``) for the name of a model that is not on this machine.
    """
    folder = Path(place)
    if folder.exists() or find_entry(str(place)) is None:
        return folder
    if str(place) in present_models():
        return present_models()[str(place)]
    from gen3r.hub.registry import fetch_model

    return fetch_model(str(place), local_files_only=True)


def tokenizer_of(places: Sequence[str | Path]) -> Path | None:
    """The folder of the tokenizer beside the text encoder that ``find_parts`` finds; None if there is none."""
    for folder in map(folder_of, places):
        if TEXT_ENCODER in open_parts(folder):
            below = (folder / TOKENIZER, folder / RUN_EXPORT / TOKENIZER)
            return next((path for path in below if path.is_dir()), None)
    return None


def _official(folder: Path) -> Parts:
    if not (folder / OFFICIAL_INDEX).is_file() and not (folder / "geo_adapter").is_dir():
        return {}
    model = ModelFolder(path=folder, layout="official")
    there = [kind for kind, part in OFFICIAL_PARTS.items() if (folder / part.folder / CONFIG_FILE).is_file()]
    return {kind: open_official_part(model, kind) for kind in there}


def _published_vggt(folder: Path) -> Parts:
    path = folder / CONFIG_FILE
    if not path.is_file() or "img_size" not in (values := read_json_object(path)):
        return {}
    weights = open_weights(folder, HUB_STEM)
    return {VGGT_FOLDER: OFFICIAL_PARTS[VGGT_FOLDER].open(VGGT_FOLDER, values, weights, path)}


def _base_model(folder: Path) -> Parts:
    is_base = (folder / CONFIG_FILE).is_file() and any(folder.glob("Wan*_VAE.pth"))
    return open_base_model(folder) if is_base else {}


def _ours(folder: Path) -> Parts:
    found: Parts = {}
    for kind in KINDS:
        for place in (folder / kind, folder / RUN_EXPORT / kind, folder):
            if (place == folder and folder.name != kind) or not (place / CONFIG_FILE).is_file():
                continue
            config = KINDS[kind].read(read_json_object(place / CONFIG_FILE), str(place / CONFIG_FILE))
            weights = open_weights(place, WEIGHTS_STEM)
            found.setdefault(kind, Part(kind=kind, config=config, weights=weights, table=SAME_NAMES))
    return found


_READERS: tuple[Callable[[Path], Parts], ...] = (_official, _published_vggt, _base_model, _ours)
