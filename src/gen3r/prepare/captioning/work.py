"""The unit of work that captions some clips."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image

from gen3r.data.captions import captions_from_labels
from gen3r.data.schema.record import CaptionKind
from gen3r.data.schema.stored import StoredClip
from gen3r.mistakes import raised_by_this_package
from gen3r.prepare.captioning.answers import problem_of, tidied
from gen3r.prepare.captioning.config import CaptionConfig, CaptionSource
from gen3r.prepare.captioning.instructions import INSTRUCTIONS, question
from gen3r.prepare.captioning.writing import write_captions

logger = logging.getLogger(__name__)


class Captioner(Protocol):
    """Captions for some clips."""

    kind: CaptionKind
    """What scene.json calls them."""

    def captions(self, clips: Mapping[str, StoredClip]) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Captions by clip, and reasons by clip for those that have none."""
        ...


class LabelCaptioner:
    """Sentences made of the dataset's labels."""

    kind: CaptionKind = "template"

    def __init__(self, config: CaptionConfig) -> None:
        self.prompts = config.prompts

    def captions(self, clips: Mapping[str, StoredClip]) -> tuple[dict[str, list[str]], dict[str, str]]:
        """See ``Captioner``."""
        made = {name: [*filter(None, captions_from_labels(clip.record.labels))] for name, clip in clips.items()}
        captioned = {name: lines[: self.prompts] for name, lines in made.items() if lines}
        return captioned, {name: "the dataset says nothing of it" for name, lines in made.items() if not lines}


class ModelCaptioner:
    """A vision-language model, asked again where an answer is no caption."""

    kind: CaptionKind = "model"

    def __init__(self, config: CaptionConfig) -> None:
        from gen3r.prepare.captioning.model import Describer

        self.config = config
        dtype = getattr(torch, config.dtype)
        self.describer = Describer(config.model, revision=config.revision, device=config.device, dtype=dtype)

    def captions(self, clips: Mapping[str, StoredClip]) -> tuple[dict[str, list[str]], dict[str, str]]:
        """See ``Captioner``."""
        pictures: dict[str, list[Image.Image]] = {}
        failed: dict[str, str] = {}
        for name, clip in clips.items():
            try:
                pictures[name] = pictures_of(clip, self.config.frames, self.config.side)
            except ValueError as error:
                if not raised_by_this_package(error):
                    raise
                failed[name] = " ".join(str(error).split())
        made: dict[str, list[str]] = {name: [] for name in pictures}
        for prompt in range(self.config.prompts):
            self._ask(prompt, pictures, made, failed)
        captioned = {name: lines for name, lines in made.items() if lines}
        return captioned, {name: reason for name, reason in failed.items() if name not in captioned}

    def _ask(
        self,
        prompt: int,
        pictures: Mapping[str, list[Image.Image]],
        made: dict[str, list[str]],
        failed: dict[str, str],
    ) -> None:
        """Ask one question of all clips, and again of those whose answer is no caption, or one they have."""
        left = list(pictures)
        for attempt in range(self.config.attempts):
            if not left:
                return
            answers = self.describer.describe(
                [pictures[name] for name in left],
                question(prompt),
                max_tokens=self.config.max_tokens,
                seed=self._seed(prompt, attempt, left),
            )
            again = []
            for name, answer in zip(left, map(tidied, answers), strict=True):
                problem = problem_of(answer) or ("said before" if answer in made[name] else None)
                if problem is None:
                    made[name].append(answer)
                else:
                    failed[name] = f"prompt {prompt + 1}: {problem}, after {attempt + 1} attempts"
                    again.append(name)
            left = again

    def _seed(self, prompt: int, attempt: int, names: Sequence[str]) -> int | None:
        """None for the first answer to a question: the likeliest one."""
        if attempt == 0 and prompt < len(INSTRUCTIONS):
            return None
        digest = hashlib.sha256(repr((self.config.seed, prompt, attempt, *names)).encode()).digest()
        return int.from_bytes(digest[:4], "little")


CAPTIONERS: Mapping[CaptionSource, Callable[[CaptionConfig], Captioner]] = {
    "model": ModelCaptioner,
    "labels": LabelCaptioner,
}
"""Who makes captions, by source."""


class CaptionClips:
    """Captions some clips and writes them, one clip after the other.

    Args:
        settings: of a ``CaptionConfig``, as JSON.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.config = CaptionConfig.from_settings(settings)
        self.captioner = CAPTIONERS[self.config.source](self.config)

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Caption the clips of ``item``, one of `plan_captions`; those done meanwhile are left alone.

        Returns:
            ``captioned``: number of clips; ``failed``: reasons by name of those that got no caption.
        """
        folders = {name: Path(self.config.dataset) / name for name in item["clips"]}
        clips = {name: StoredClip.open(folder) for name, folder in folders.items()}
        clips = {name: clip for name, clip in clips.items() if clip.record.caption_kind != self.captioner.kind}
        captions, failed = self.captioner.captions(clips)
        for name, lines in captions.items():
            write_captions(folders[name], lines, self.captioner.kind)
        level = logging.DEBUG if self.config.source == "labels" else logging.WARNING  # no labels is no failure
        for name, reason in failed.items():
            logger.log(level, "%s has no captions: %s", name, reason)
        return {"captioned": len(captions), "failed": failed}


def pictures_of(clip: StoredClip, count: int, side: int) -> list[Image.Image]:
    """``count`` frames of a clip, evenly spread (repeated where it has fewer), reduced to ``side`` pixels.

    Raises:
        ValueError: naming the file that is missing or damaged.
    """
    last = clip.record.frames - 1
    indices = [round(last * (k + 0.5) / count) for k in range(count)]
    pictures = [Image.fromarray(frame.numpy()) for frame in clip.rgb(indices)]
    for picture in pictures:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return pictures
