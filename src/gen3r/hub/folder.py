"""A network on disk: ``config.json`` beside its weights, read strictly and written as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gen3r.hub.files import ModelFolderError, read_json_object, whole_folder, write_json
from gen3r.hub.stored import open_weights
from gen3r.hub.stream import build_on_meta, stream_weights

Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")

CONFIG_FILE = "config.json"
WEIGHTS_STEM = "model"
WEIGHTS_FILE = f"{WEIGHTS_STEM}.safetensors"


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
        nested = _nested(fields[name].default_factory, *get_args(kinds[name]))
        if isinstance(value, dict) and nested is not None:
            value = config_from_dict(nested, value, f"{origin}:{name}")
        arguments[name] = _tuples(value)
    return config_class(**arguments)


def _nested(*kinds: Any) -> type | None:
    """The first of these that is a dataclass: what a field makes by default, or what it may be beside None."""
    return next((kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind)), None)


_SCALARS: dict[Any, tuple[type, ...]] = {int: (int,), float: (float, int), str: (str,), bool: (bool,)}
"""Field types that are checked, and what JSON may hold for them."""


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def stored_tensors(network: nn.Module, storage: torch.dtype | None = None) -> dict[str, Tensor]:
    """Every tensor of a network on the CPU, tied ones once; floating ones as ``storage`` if given."""
    state = network.state_dict(keep_vars=True)
    first = {id(tensor): name for name, tensor in reversed(state.items())}
    return {
        name: tensor.detach().to("cpu", storage if tensor.is_floating_point() else None, copy=True).contiguous()
        for name, tensor in state.items()
        if first[id(tensor)] == name
    }


def save_network(network: nn.Module, config: Any, folder: Path, storage: torch.dtype | None = None) -> None:
    """Write ``config.json`` and ``model.safetensors`` into ``folder``, replacing it as a whole."""
    with whole_folder(Path(folder)) as temporary:
        write_json(temporary / CONFIG_FILE, dataclasses.asdict(config))
        save_file(stored_tensors(network, storage), temporary / WEIGHTS_FILE)


def load_network(build: Callable[[Config], Network], config_class: type[Config], folder: Path) -> Network:
    """Build a network from ``folder/config.json`` and fill it strictly from its weights, on the CPU in float32.

    Half-precision weights are widened: the file's precision is storage only.
    """
    folder = Path(folder)
    path = folder / CONFIG_FILE
    config = config_from_dict(config_class, read_json_object(path), str(path))
    return stream_weights(build_on_meta(lambda: build(config)), open_weights(folder, WEIGHTS_STEM))
