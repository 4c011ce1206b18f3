"""Prompts for clips: by a vision-language model, or from what the dataset says (docs/captions.md)."""

from gen3r.prepare.captioning.config import CaptionConfig
from gen3r.prepare.captioning.plan import list_items, plan_captions
from gen3r.prepare.captioning.work import CaptionClips

__all__ = ["CaptionClips", "CaptionConfig", "list_items", "plan_captions"]
