"""A network on disk: ``config.json`` beside ``model.safetensors``, read strictly and written atomically."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


class ModelFolderError(ValueError):
    """A model folder is incomplete or does not fit the network it should fill."""


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON under a temporary name, then rename it to ``path``."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    """Read a JSON file of a model folder.

    Raises:
        ModelFolderError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFolderError(
            f"expected {path.name} in {path.parent}, found none; is the model folder complete?"
        ) from None
    except json.JSONDecodeError as error:
        raise ModelFolderError(f"{path} is not valid JSON ({error}); fetch or export the model again.") from None


def config_from_dict(config_class: type[Config], values: dict[str, Any], origin: str) -> Config:
    """Build a (nested) config dataclass from JSON values; lists become tuples.

    Raises:
        ModelFolderError: naming the fields that are unknown, missing or of another type in ``origin``.
    """
    fields = {field.name: field for field in dataclasses.fields(cast(Any, config_class))}
    unknown = sorted(set(values) - set(fields))
    missing = sorted(
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    if unknown or missing:
        raise ModelFolderError(
            f"{origin} does not describe a {config_class.__name__}: unknown fields {unknown}, "
            f"missing fields {missing}. Was it written by another version of gen3r?"
        )
    arguments = {}
    kinds = get_type_hints(config_class)
    for name, value in values.items():
        accepted = _SCALARS.get(kinds[name])
        if accepted is not None and type(value) not in accepted:
            raise ModelFolderError(f"{origin}: expected {name} to be {kinds[name].__name__}, got {value!r}.")
        if get_origin(kinds[name]) is Literal and value not in get_args(kinds[name]):
            choices = ", ".join(map(str, get_args(kinds[name])))
            raise ModelFolderError(f"{origin}: expected {name} to be one of {choices}, got {value!r}.")
        factory = fields[name].default_factory
        if isinstance(value, dict) and isinstance(factory, type) and dataclasses.is_dataclass(factory):
            value = config_from_dict(factory, value, f"{origin}:{name}")
        arguments[name] = _tuples(value)
    return config_class(**arguments)


_SCALARS: dict[Any, tuple[type, ...]] = {int: (int,), float: (float, int), str: (str,), bool: (bool,)}
"""Field types that are checked, and what JSON may hold for them."""


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def load_weights(network: Network, path: Path) -> Network:
    """Fill ``network`` from a safetensors file, every tensor and nothing else.

    Raises:
        ModelFolderError: naming missing, unexpected and misshapen tensors, or an unreadable file.
    """
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise ModelFolderError(f"expected weights at {path}, found none; is the model folder complete?") from None
    except SafetensorError as error:
        raise ModelFolderError(f"{path} cannot be read ({error}); the file is damaged, fetch it again.") from None
    own = network.state_dict()
    missing, unexpected = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} != {tuple(own[name].shape)}"
        for name in sorted(set(own) & set(tensors))
        if own[name].shape != tensors[name].shape
    ]
    if missing or unexpected or misshapen:
        raise ModelFolderError(
            f"{path} does not fit {type(network).__name__}: missing {_listing(missing)}, "
            f"unexpected {_listing(unexpected)}, wrong shape (file != network) {_listing(misshapen)}."
        )
    network.load_state_dict(tensors)
    return network


def _listing(names: list[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return f"[{shown}{', ...' if len(names) > most else ''}] ({len(names)})"


def stored_tensors(network: nn.Module, storage: torch.dtype | None = None) -> dict[str, Tensor]:
    """Every tensor of a network, apart from each other and on the CPU; floating ones as ``storage`` if given."""
    return {
        name: tensor.detach().to("cpu", storage if tensor.is_floating_point() else None, copy=True).contiguous()
        for name, tensor in network.state_dict().items()
    }


def save_network(network: nn.Module, config: Any, folder: Path, storage: torch.dtype | None = None) -> None:
    """Write ``config.json`` and ``model.safetensors`` into ``folder``, replacing it as a whole."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        write_json(temporary / CONFIG_FILE, dataclasses.asdict(config))
        save_file(stored_tensors(network, storage), temporary / WEIGHTS_FILE)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_network(build: Callable[[Config], Network], config_class: type[Config], folder: Path) -> Network:
    """Build a network from ``folder/config.json`` and fill it strictly from ``folder/model.safetensors``.

    Half-precision weights are kept in the network's own dtype (float32): the file's precision is storage only.
    """
    folder = Path(folder)
    config = config_from_dict(config_class, read_json(folder / CONFIG_FILE), str(folder / CONFIG_FILE))
    return load_weights(build(config), folder / WEIGHTS_FILE)
