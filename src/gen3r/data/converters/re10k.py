"""RealEstate10K: walks through homes from videos, as text files of cameras; users fetch the videos themselves."""

from __future__ import annotations

from gen3r.data.converters.timed_clips import TimedClips

CONVERTER = TimedClips(
    name="re10k",
    licence="CC-BY-4.0 (cameras); videos belong to their owners",
    title="RealEstate10K",
    labels={"scene": "a home"},
)
