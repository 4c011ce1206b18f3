"""``gen3r view``: scenes in the browser."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gen3r.cli.output_file import check_output_file
from gen3r.cli.terminal import say, working
from gen3r.extras import Extra

if TYPE_CHECKING:
    from gen3r.apps.viewer.data import ShownScene

VISER = Extra(name="viewer", modules=("viser",))
PORT = 8080


@dataclass(frozen=True, kw_only=True)
class View:
    """Look at scenes in the browser, draw camera paths, make pictures of them.

    With --screenshot or --turntable the files are rendered here, no browser is involved, and the command ends.
    """

    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENE ...")]
    """Folders with scene.safetensors and scene.json. Several are shown side by side, first cameras aligned."""
    port: int = PORT
    """Where to listen; 0 takes any free port."""
    host: str = "127.0.0.1"
    """Address to listen at. This one is for this machine alone; 0.0.0.0 lets everybody in who can reach it."""
    no_open: bool = False
    """Only print the address; open no browser."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path()
    """Folder where the page's buttons save camera paths, screenshots and videos; nothing is overwritten."""
    screenshot: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Write one picture instead."""
    turntable: Annotated[Path | None, tyro.conf.arg(metavar="FILE.mp4")] = None
    """Write a video of the camera turning around the scenes instead."""
    turn: float = 60.0
    """Degrees of the turntable: below 360 it swings out and back, 360 goes all the way round."""

    def run(self) -> None:
        """Check, then show or render.

        Raises:
            ValueError: for a folder without a scene, an unusable output, a missing extra, or a port that is taken.
        """
        files = [file for file in (self.screenshot, self.turntable) if file is not None]
        for file, option in ((self.screenshot, "--screenshot"), (self.turntable, "--turntable")):
            if file is not None:
                check_output_file(file, option)
        if not self.scenes:
            raise ValueError("expected at least one SCENE, got none; name a folder that gen3r generate wrote.")
        for folder in self.scenes:
            if not folder.is_dir():
                raise ValueError(
                    f"expected a scene folder, but there is none at {folder}; name what gen3r generate wrote."
                )
        if files:
            self.render()
            for file in files:
                say(str(file))
            return
        VISER.require("gen3r view")
        if not self.out.is_dir():
            raise ValueError(f"--out expects an existing folder, but there is none at {self.out}; create it first.")
        self.serve()

    def load(self) -> Sequence[ShownScene]:
        """Read the scenes, named by their folders."""
        from gen3r.apps.viewer.data import ShownScene
        from gen3r.scene.scene import Scene

        return [ShownScene(folder.resolve().name, Scene.load(folder)) for folder in self.scenes]

    def render(self) -> None:
        """Write the picture and the video."""
        from gen3r.apps.viewer.data import Filters
        from gen3r.apps.viewer.offline import render_files
        from gen3r.apps.viewer.placement import Arrangement
        from gen3r.scene.turntable import Turntable

        table = Turntable(turn=self.turn)
        scenes = self.load()
        with working("Rendering"):
            render_files(
                scenes,
                filters=Filters(),
                arrangement=Arrangement(),
                table=table,
                screenshot=self.screenshot,
                video=self.turntable,
            )

    def serve(self) -> None:
        """Show the scenes until Ctrl-C. The browser loads the page while the scenes are read."""
        from gen3r.apps.viewer.listening import Address, listening, url_of

        try:
            with listening(Address(host=self.host, port=self.port)) as server:
                say(f"{url_of(server)}  (Ctrl-C ends it)")
                if not self.no_open:
                    import webbrowser

                    webbrowser.open(url_of(server))
                from gen3r.apps.viewer.app import Viewer

                with contextlib.closing(Viewer(server, self.load(), self.out)):
                    while True:
                        time.sleep(3600)
        except KeyboardInterrupt:
            say("Closed.")
