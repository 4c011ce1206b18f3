"""``gen3r export``: write a scene in the formats of other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.terminal import note, progress_bar, say
from gen3r.scene.export.options import CleaningLevel, ExportOptions
from gen3r.scene.export.output_folder import check_output_folder
from gen3r.scene.export.registry import ALL, EXPORT_FORMATS, find_formats

FORMAT_NAMES = ", ".join(item.name for item in EXPORT_FORMATS)
DEFAULTS = ExportOptions()
Limit = int | Literal["none"]
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a scene in the formats of other programs, in place or into another folder."""

    scene: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]
    """Folder with scene.safetensors and scene.json."""
    format: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="NAME[,NAME...]",
            help=f"What to make, separated by commas or spaces: {FORMAT_NAMES}; a file name such as points.ply; or "
            f"{ALL}, which leaves out formats whose libraries are not installed.",
        ),
    ]
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """New folder for the files. Left out, they go into the scene folder and replace what is there."""
    clean: CleaningLevel = DEFAULTS.clean
    """How hard floating points are removed before clouds, splats and meshes are made."""
    max_points: Annotated[Limit | Literal["auto"], tyro.conf.arg(metavar="N|auto|none")] = AUTO
    """Points of a cloud at most, spread evenly over space, the confident ones first. auto is 2,000,000, and 100,000 for
    colmap; 0 or none: no limit."""
    max_faces: Annotated[Limit, tyro.conf.arg(metavar="N|none")] = DEFAULTS.max_faces or 0
    """Triangles of a mesh at most. 0 or none: no limit."""

    def run(self) -> None:
        """Write the files and name them.

        Raises:
            ValueError: for a folder without a scene, an unknown format (listing them), a format whose libraries are
                missing (unless all were asked for), a negative limit, or an unusable output folder.
        """
        names = [part.strip() for name in self.format for part in name.split(",") if part.strip()]
        formats = find_formats(names)
        options = ExportOptions(
            clean=self.clean,
            max_points=AUTO if self.max_points == AUTO else limit(self.max_points, "--max-points"),
            max_faces=limit(self.max_faces, "--max-faces"),
        )
        if self.out is not None:
            check_output_folder(self.out)
        if not self.scene.is_dir():
            raise ValueError(
                f"expected a scene folder, but there is none at {self.scene}; name what gen3r generate wrote."
            )
        for item in EXPORT_FORMATS if ALL in names else ():
            if item.extra is not None and item not in formats:
                note(f"{item.name} is left out, its libraries are not installed; to have it, run: {item.extra.remedy}")
        from gen3r.scene.export.folder import export_scene

        with progress_bar("Exporting") as advance:
            made = export_scene(self.scene, names, self.out, options=options, advance=advance)
        for path in made:
            say(str(path))


def limit(value: Limit, option: str) -> int | None:
    """What the user gave as a number of things at most; None for no limit."""
    if value in ("none", 0):
        return None
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{option} expects a whole number, 0 or none for no limit; got {value}.")
    return value
