"""Which models a studio offers. Clients choose among names; folders are the operator's business."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def allowed_models(wanted: Sequence[str] = ()) -> dict[str, str]:
    """What each offered name stands for: a registered model that is here, or a model folder.

    Args:
        wanted: names of ``gen3r models list`` and model folders; none means every whole model that is here.

    Raises:
        ValueError: for a name that is no model on this machine, or two folders of one name.
    """
    from gen3r.hub.inventory import inventory
    from gen3r.hub.registry import DEFAULT_MODEL, resolve_model

    if not wanted:
        here = [
            state.entry.name for state in inventory() if state.status in ("shipped", "complete") and state.entry.whole
        ]
        return {name: name for name in sorted(here, key=lambda name: (name != DEFAULT_MODEL, name))}
    models: dict[str, str] = {}
    for word in wanted:
        folder = resolve_model(word, local_files_only=True).path
        is_folder = Path(word).is_dir()
        name = folder.resolve().name if is_folder else word
        if name in models:
            raise ValueError(f"--models names {name} twice; rename one of the folders.")
        models[name] = str(folder.resolve()) if is_folder else word
    return models
