"""``gen3r export``: make any file of a scene folder again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.terminal import say
from gen3r.scene.export.output_folder import check_output_folder
from gen3r.scene.export.registry import EXPORT_FORMATS, find_formats

FORMAT_NAMES = ", ".join(item.name for item in EXPORT_FORMATS)


@dataclass(frozen=True, kw_only=True)
class Export:
    """Make files of a scene folder again, in place or in another folder."""

    scene: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")]
    """Folder with scene.safetensors and scene.json."""
    format: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="FORMAT ...", help=f"What to make: {FORMAT_NAMES}; or a file name such as points.ply."),
    ]
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """New folder for the files. Left out, the files in the scene folder are replaced."""

    def run(self) -> None:
        """Write the files and name them.

        Raises:
            ValueError: for a folder without a scene, an unknown format (listing them), or an unusable output folder.
        """
        find_formats(self.format)
        if self.out is not None:
            check_output_folder(self.out)
        if not self.scene.is_dir():
            raise ValueError(
                f"expected a scene folder, but there is none at {self.scene}; name what gen3r generate wrote."
            )
        from gen3r.scene.export.folder import export_scene

        for path in export_scene(self.scene, self.format, self.out):
            say(str(path))
