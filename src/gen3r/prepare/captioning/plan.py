"""Which clips have no captions of the wanted kind yet."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from gen3r.data.schema.folder import clip_folders
from gen3r.data.schema.record import CaptionKind
from gen3r.data.schema.stored import StoredClip
from gen3r.mistakes import raised_by_this_package
from gen3r.prepare.captioning.config import CaptionConfig

logger = logging.getLogger(__name__)


def list_items(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """`plan_captions` for settings as JSON."""
    return plan_captions(CaptionConfig.from_settings(settings))


def plan_captions(config: CaptionConfig) -> list[dict[str, Any]]:
    """Payloads for `CaptionClips`: groups of clips whose captions are to be written.

    A model captions clips without captions and those with captions made of labels; labels caption clips without any.

    Raises:
        ValueError: for a folder of shards, or without clips.
    """
    dataset = Path(config.dataset)
    if any(dataset.glob("*.tar")):
        raise ValueError(
            f"{dataset} holds tar shards, which are not changed; caption the clip folders, then pack them."
        )
    wanted = [folder.name for folder in clip_folders(dataset) if _is_wanted(folder, config)]
    return [{"clips": wanted[start : start + config.batch]} for start in range(0, len(wanted), config.batch)]


def _is_wanted(folder: Path, config: CaptionConfig) -> bool:
    """Whether a clip is to be captioned; damaged ones are not, and a warning names them."""
    kinds: set[CaptionKind] = {"none"} if config.source == "labels" else {"none", "template"}
    if config.replace_given:
        kinds.add("given")
    try:
        return StoredClip.open(folder).record.caption_kind in kinds
    except ValueError as error:
        if not raised_by_this_package(error):
            raise
        logger.warning("%s is left out: %s", folder.name, error)
        return False
