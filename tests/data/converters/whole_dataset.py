"""Converting everything that a converter finds, as the command does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.data.converting.raw import Converter, Findings, UnusableScene
from gen3r.data.converting.scene import convert_scene
from gen3r.data.converting.settings import ConvertSettings


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What came of it."""

    findings: Findings
    clips: dict[str, Path]
    """Clip folders by name."""
    refused: dict[str, str]
    """Scenes that could not be used, and why."""

    def record(self, name: str) -> dict[str, Any]:
        """What scene.json of a clip says."""
        return json.loads((self.clips[name] / "scene.json").read_text())

    @property
    def splits(self) -> dict[str, str]:
        """Split by clip."""
        return {name: self.record(name)["split"] for name in self.clips}


def convert(converter: Converter, source: Path, destination: Path, **settings: Any) -> Conversion:
    """Find and convert all scenes below ``source``."""
    chosen = ConvertSettings(**settings)
    findings = converter.find(source, chosen.options())
    clips, refused = {}, {}
    for found in findings.scenes:
        try:
            made = convert_scene(converter, source, found, destination, chosen)
        except UnusableScene as error:
            refused[found.name] = str(error)
        else:
            clips.update({name: destination / name for name in made.clips})
    return Conversion(findings=findings, clips=clips, refused=refused)
