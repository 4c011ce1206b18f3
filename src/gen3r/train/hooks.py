"""What a run shows while it lasts: JSON lines, TensorBoard, pictures, and a progress bar."""

from __future__ import annotations

import json
import time
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from gen3r.whole_file import whole_file

LOG_FILE = "log.jsonl"


class RunLog:
    """Numbers to ``log.jsonl`` and TensorBoard, pictures to ``samples/``. Resuming drops lines after the checkpoint."""

    def __init__(self, run: Path, start: int) -> None:
        self.run = run
        self.path = run / LOG_FILE
        run.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_log(run) if line["step"] <= start] if start else []
        with whole_file(self.path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self.file = self.path.open("a")
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=start + 1 if start else None)
        self.began = time.monotonic()

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Append one line for ``step`` (the number of finished optimizer steps)."""
        line = {"step": step, "seconds": round(time.monotonic() - self.began, 3)} | values
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def pictures(self, step: int, pictures: dict[str, UInt8[Tensor, "height width 3"]]) -> None:
        """Save PNG pictures of ``step``."""
        folder = self.run / "samples"
        folder.mkdir(exist_ok=True)
        for name, picture in pictures.items():
            Image.fromarray(picture.cpu().numpy()).save(folder / f"{step:09d}-{name}.png")
            self.board.add_image(name, picture.cpu().numpy(), step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close the files."""
        self.file.close()
        self.board.close()


def read_log(run: Path) -> list[dict[str, float | int]]:
    """The whole lines of ``log.jsonl``; a last line cut off by a crash is ignored."""
    path = run / LOG_FILE
    if not path.is_file():
        return []
    text = path.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class ProgressLine:
    """A bar with time left on a terminal; a plain line now and then where the output is a file."""

    def __init__(self, title: str, steps: int, start: int, console: Console | None) -> None:
        self.console = console or Console(stderr=True, quiet=True)
        self.steps, self.start, self.began = steps, start, time.monotonic()
        columns = (
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self.bar = Progress(*columns, console=self.console) if self.console.is_terminal else None
        if self.bar is not None:
            self.bar.start()
            self.task = self.bar.add_task("", total=steps, completed=start)

    def update(self, step: int, text: str) -> None:
        """Show that ``step`` optimizer steps are done, with a short text beside the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step, total=self.steps, description=text)
            return
        spent = (time.monotonic() - self.began) / max(1, step - self.start)
        self.console.print(
            f"{step}/{self.steps} {spent * 1000:.0f} ms/step, {spent * (self.steps - step) / 60:.1f} min left, {text}"
        )

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.stop()
