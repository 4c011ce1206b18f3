"""Official checkpoint names to ours and back: explicit tables, strict both ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn


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
        if any(_starts(name, ignored) for ignored in self.ignored):
            return None
        return _replace(name, self.pairs)

    def to_official(self, name: str) -> str:
        """The official name of one of ours."""
        return self.prefix + _replace(name, ((ours, official) for official, ours in self.pairs))

    def convert(self, official: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
        """A state dict for `model` from an official one; ValueError naming each tensor that does not fit."""
        ours: dict[str, Tensor] = {}
        for name, tensor in official.items():
            new = self.to_ours(name)
            if new in ours:
                raise ValueError(f"the checkpoint holds {name} twice, with and without the prefix {self.prefix!r}.")
            if new is not None:
                ours[new] = tensor
        expected = model.state_dict()
        problems = [
            *(f"missing {self.to_official(name)}" for name in expected if name not in ours),
            *(f"unexpected {self.to_official(name)}" for name in ours if name not in expected),
            *(
                f"{self.to_official(name)} has shape {tuple(tensor.shape)}, expected {tuple(expected[name].shape)}"
                for name, tensor in ours.items()
                if name in expected and tensor.shape != expected[name].shape
            ),
        ]
        if problems:
            raise ValueError(
                f"the checkpoint does not fit {type(model).__name__} ({len(problems)} problems); check that the config "
                "is that of the checkpoint:\n  " + "\n  ".join(problems)
            )
        return ours

    def load(self, model: nn.Module, official: Mapping[str, Tensor]) -> None:
        """Load an official state dict into `model`, strictly; meta parameters are assigned, others are copied into."""
        on_meta = any(parameter.is_meta for parameter in model.parameters())
        model.load_state_dict(self.convert(official, model), strict=True, assign=on_meta)

    def export(self, model: nn.Module) -> dict[str, Tensor]:
        """The state dict of `model` under the official names."""
        return {self.to_official(name): tensor for name, tensor in model.state_dict().items()}


def _starts(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _replace(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    fitting = [(old, new) for old, new in pairs if _starts(name, old)]
    if not fitting:
        return name
    old, new = max(fitting, key=lambda pair: len(pair[0]))
    return new + name.removeprefix(old)
