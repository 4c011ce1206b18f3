"""Official checkpoint names to ours and back: explicit tables, strict both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor, nn

from gen3r.hub.files import ModelFolderError
from gen3r.hub.stored import StoredTensor, Weight

_LISTED = 12


@dataclass(frozen=True, kw_only=True)
class KeyTable:
    """Pairs of (official, our) name prefixes; a name takes the longest that fits and keeps its rest.

    Names that no prefix fits are the same on both sides. Prefixes end at a dot of the name or at its end.
    """

    pairs: tuple[tuple[str, str], ...]
    """(official prefix, our prefix), one to one."""
    prefix: str = ""
    """What official names start with, besides; files without it are accepted too."""
    ignored: tuple[str, ...] = ()
    """Official prefixes that are known and not ours: dropped when converting, never an error."""

    def __post_init__(self) -> None:
        for side in (0, 1):
            names = [pair[side] for pair in self.pairs]
            if len(set(names)) != len(names):
                raise ValueError(
                    f"a key table must be one to one, repeated: {sorted({n for n in names if names.count(n) > 1})}."
                )

    def to_ours(self, name: str) -> str | None:
        """Our name of an official one; None if it is one of the ignored."""
        name = name.removeprefix(self.prefix)
        if any(prefix in self._ignored for prefix in _prefixes(name)):
            return None
        return _replace(name, self._to_ours)

    def to_official(self, name: str) -> str:
        """The official name of one of ours."""
        return self.prefix + _replace(name, self._to_official)

    @cached_property
    def _to_ours(self) -> dict[str, str]:
        return dict(self.pairs)

    @cached_property
    def _to_official(self) -> dict[str, str]:
        return {ours: official for official, ours in self.pairs}

    @cached_property
    def _ignored(self) -> frozenset[str]:
        return frozenset(self.ignored)

    def within(self, part: str) -> KeyTable:
        """The table for a network that holds this one's as ``part``."""
        return replace(self, pairs=tuple((official, f"{part}.{ours}") for official, ours in self.pairs))

    def convert(self, official: Mapping[str, Weight], model: nn.Module) -> dict[str, Weight]:
        """A state dict for `model` from official tensors in memory or on disk; tied ones may be given once.

        Raises:
            ModelFolderError: naming each tensor that does not fit, and its file.
        """
        ours: dict[str, Weight] = {}
        for name, tensor in official.items():
            new = self.to_ours(name)
            if new in ours:
                raise ModelFolderError(f"the checkpoint holds {name} twice, with and without prefix {self.prefix!r}.")
            if new is not None:
                ours[new] = tensor
        expected = model.state_dict(keep_vars=True)
        given = {id(expected[name]): ours[name] for name in expected if name in ours}
        problems = [
            *(f"missing {self.to_official(name)}" for name, own in expected.items() if id(own) not in given),
            *(f"unexpected {self._told(name, ours)}" for name in ours if name not in expected),
            *(
                f"{self._told(name, ours)} has shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}"
                for name, tensor in ours.items()
                if name in expected and tuple(tensor.shape) != tuple(expected[name].shape)
            ),
        ]
        if problems:
            more = [f"... and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
            raise ModelFolderError(
                f"{_origin(official)} does not fit {type(model).__name__} ({len(problems)} problems); check that the "
                "config is that of the checkpoint:\n  " + "\n  ".join([*problems[:_LISTED], *more])
            )
        return {name: given[id(own)] for name, own in expected.items()}

    def _told(self, name: str, tensors: Mapping[str, Tensor | StoredTensor]) -> str:
        tensor = tensors[name]
        return self.to_official(name) + (f" in {tensor.file.name}" if isinstance(tensor, StoredTensor) else "")

    def load(self, model: nn.Module, official: Mapping[str, Tensor]) -> None:
        """Load an official state dict into `model`, strictly; meta parameters are assigned, others are copied into."""
        on_meta = any(parameter.is_meta for parameter in model.parameters())
        model.load_state_dict(self.convert(official, model), strict=True, assign=on_meta)

    def export(self, model: nn.Module) -> dict[str, Tensor]:
        """The state dict of `model` under the official names."""
        return {self.to_official(name): tensor for name, tensor in model.state_dict().items()}


def _origin(tensors: Mapping[str, Tensor | StoredTensor]) -> str:
    first = next(iter(tensors.values()), None)
    return str(first.file.parent) if isinstance(first, StoredTensor) else "the checkpoint"


def _prefixes(name: str) -> Iterator[str]:
    """The name and its prefixes that end at a dot, the longest first."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _replace(name: str, pairs: Mapping[str, str]) -> str:
    for prefix in _prefixes(name):
        if prefix in pairs:
            return pairs[prefix] + name.removeprefix(prefix)
    return name
