"""ACID: flights along coasts from videos, in the form of RealEstate10K; the large release has no split."""

from __future__ import annotations

from gen3r.data.converters.timed_clips import TimedClips

CONVERTER = TimedClips(
    name="acid",
    licence="CC-BY-4.0 (cameras); videos belong to their owners",
    title="ACID",
    labels={"scene": "a coast from the air"},
)
