"""Units of work that tests run: they write a file per item, and do what the item asks of them before that."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from gen3r.jobs import RunOptions
from gen3r.scene.export.output_folder import whole_folder
from gen3r.whole_file import whole_file


class Write:
    """Writes ``<out>/<key>.txt``, and notes in ``<out>/begun`` and ``<out>/written`` how often it did so."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.out = Path(settings["out"])
        self.seconds = settings.get("seconds", 0.0)
        _note(self.out / "opened", str(os.getpid()))

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        key = item["key"]
        path = self.out / f"{key}.txt"
        if path.exists():
            return {"written": False}
        _note(self.out / "begun", key)
        if "error" in item:
            raise RuntimeError(item["error"])
        if "mistake" in item:
            RunOptions(workers=-1)
        if "vanishes" in item:
            _write_while_somebody_clears(self.out / f"{key}.folder", told_as_mistake=item["vanishes"] == "told")
        if item.get("dies") == "always" or (item.get("dies") == "once" and _first_time(self.out / f".{key}.died")):
            os.kill(os.getpid(), signal.SIGKILL)
        with whole_file(path) as file:
            file.write_text("half")
            time.sleep(self.seconds)
            file.write_text(f"whole {key}")
        _note(self.out / "written", key)
        return {"written": True, "square": item.get("number", 0) ** 2}


def _write_while_somebody_clears(folder: Path, *, told_as_mistake: bool) -> None:
    """The first time, somebody removes the half-written folder."""
    with whole_folder(folder) as staging:
        if _first_time(folder.with_suffix(".cleared")):
            shutil.rmtree(staging)
        try:
            (staging / "file").write_text("whole")
        except FileNotFoundError:
            if told_as_mistake:
                RunOptions(workers=-1)
            raise


class Both:
    """Writes files as `Write` does, or captions clips as ``gen3r data caption`` does, slowly, and notes that too."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.write = Write(settings)
        from gen3r.prepare.captioning.work import CaptionClips  # takes seconds: torch

        self.caption = CaptionClips(settings["captions"])

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        if "clips" not in item:
            return self.write(item)
        time.sleep(self.write.seconds / 2)
        result = self.caption(item)
        if result["captioned"]:
            _note(self.write.out / "captioned", item["clips"][0])
        time.sleep(self.write.seconds / 2)
        return result


def _first_time(path: Path) -> bool:
    if path.exists():
        return False
    path.touch()
    return True


def _note(path: Path, line: str) -> None:
    with path.open("a") as file:  # short appends are whole
        file.write(line + "\n")


class Refuse:
    """Cannot be opened, and says what is wrong with its settings."""

    def __init__(self, settings: dict[str, Any]) -> None:
        RunOptions(retries=-1)


class Broken:
    """Cannot be opened for a reason of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        raise ZeroDivisionError


class DiesAtOnce:
    """Takes its process with it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Where:
    """Tells which GPUs a worker sees. Items take a moment, so that all workers get some."""

    def __init__(self, settings: dict[str, Any]) -> None:
        pass

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.3)
        return {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()}
