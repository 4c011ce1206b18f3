"""VBench-I2V scores of videos, by VBench itself in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from gen3r.eval.metrics.absent import Absent

PYTHON_VARIABLE = "GEN3R_VBENCH_PYTHON"
"""Environment variable: the Python of an environment that has VBench; this one's if it is not set."""
REMEDY = (
    f"python -m venv vbench && vbench/bin/pip install vbench dreamsim && export {PYTHON_VARIABLE}=vbench/bin/python"
)
"""VBench pins an older numpy and transformers than this package needs, so it gets an environment of its own."""
CACHE_VARIABLE = "VBENCH_CACHE_DIR"
"""Environment variable: where VBench keeps its weights; ``~/.cache/vbench`` if it is not set."""
_DINO = ("dino_model/facebookresearch_dino_main", "dino_model/dino_vitbase16_pretrain.pth")
WEIGHTS = MappingProxyType(
    {
        "i2v_subject": _DINO,
        "i2v_background": ("models",),
        "subject_consistency": _DINO,
        "background_consistency": ("clip_model/ViT-B-32.pt",),
        "motion_smoothness": ("amt_model/amt-s.pth",),
        "dynamic_degree": ("raft_model/models/raft-things.pth",),
        "aesthetic_quality": ("clip_model/ViT-L-14.pt", "aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth"),
        "imaging_quality": ("pyiqa_model/musiq_spaq_ckpt-358bb6af.pth",),
    }
)
"""Dimensions -> what they need below VBench's cache folder; ``models`` is DreamSim's. The dimension camera_motion is
left out: it only knows classes of movement, and here the cameras themselves are compared (`control_errors`)."""
_NOWHERE = "http://127.0.0.1:9"
_OFFLINE = MappingProxyType(
    {name: _NOWHERE for kind in ("http_proxy", "https_proxy", "all_proxy") for name in (kind, kind.upper())}
    | {"no_proxy": "", "NO_PROXY": "", "HF_HUB_OFFLINE": "1"}
)
"""VBench fetches what it lacks; with this every fetch fails."""
_HAS_VBENCH = "from importlib.util import find_spec; raise SystemExit(find_spec('vbench2_beta_i2v') is None)"
_PROGRAM = """
import json, sys
from vbench2_beta_i2v import VBenchI2V

info, output, device, dimensions = sys.argv[1:]

class OwnVideos(VBenchI2V):
    def build_full_info_json(self, *args, **kwargs):
        return info

OwnVideos(device, info, output).evaluate(
    output, "own", json.loads(dimensions), local=True, imaging_quality_preprocessing_mode="longer"
)
"""


@dataclass(frozen=True, kw_only=True)
class VideoOfImage:
    """A generated video and the picture it was made from."""

    image: Path
    """A picture file."""
    video: Path
    """An .mp4 file."""
    prompt: str
    """What the video was asked to show."""


def vbench_scores(
    clips: Sequence[VideoOfImage], dimensions: Sequence[str] = tuple(WEIGHTS), *, device: str = "cuda"
) -> dict[str, list[float]] | Absent:
    """Scores of every clip in every dimension of VBench-I2V (Huang et al. 2024), higher is better.

    As VBench gives them: from 0 to 1, imaging_quality from 0 to 100. VBench runs in its own process; nothing is
    downloaded. `Absent` where VBench or weights are missing on this machine.

    Args:
        clips: files to score.
        dimensions: names out of ``WEIGHTS``.
        device: of VBench's networks.

    Raises:
        ValueError: for an unknown dimension, or no clips.
        RuntimeError: if VBench fails, with the end of what it said.
    """
    unknown = set(dimensions) - set(WEIGHTS)
    if unknown or not clips:
        raise ValueError(
            f"VBench needs clips, got {len(clips)}, and dimensions out of {list(WEIGHTS)}, got {dimensions}."
        )
    absence = vbench_absence(dimensions)
    if absence is not None:
        return absence
    with tempfile.TemporaryDirectory() as name:
        info = Path(name) / "clips.json"
        info.write_text(json.dumps([_entry(clip, dimensions) for clip in clips]), encoding="utf-8")
        command = [_python(), "-c", _PROGRAM, str(info), name, device, json.dumps(list(dimensions))]
        done = subprocess.run(
            command, cwd=_cache(), env={**os.environ, **_OFFLINE}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"VBench failed (weights may be missing, nothing is downloaded): {done.stderr[-2000:]}")
        results = json.loads((Path(name) / "own_eval_results.json").read_text(encoding="utf-8"))
    scores = {}
    for dimension in dimensions:
        of_video = {Path(entry["video_path"]): float(entry["video_results"]) for entry in results[dimension][1]}
        scores[dimension] = [of_video[clip.video.resolve()] for clip in clips]
    return scores


def vbench_absence(dimensions: Sequence[str] = tuple(WEIGHTS)) -> Absent | None:
    """What keeps VBench from scoring these dimensions here; None if nothing is seen to."""
    try:
        found = subprocess.run([_python(), "-c", _HAS_VBENCH], capture_output=True, check=False).returncode == 0
    except OSError:
        found = False
    if not found:
        return Absent(what="VBench-I2V", reason=f"{_python_name()} has no module vbench2_beta_i2v", remedy=REMEDY)
    needed = sorted({file for dimension in dimensions for file in WEIGHTS[dimension]})
    missing = [file for file in needed if not (_cache() / file).exists()]
    if not missing:
        return None
    return Absent(
        what="VBench-I2V",
        reason=f"weights are missing in {_cache()}: {', '.join(missing)}",
        remedy="VBench's own evaluate_i2v.py once, with a network; it fetches them",
    )


def _python() -> str:
    return os.environ.get(PYTHON_VARIABLE) or sys.executable


def _python_name() -> str:
    """What results files call it: they are read on other machines."""
    return f"the Python of {PYTHON_VARIABLE}" if os.environ.get(PYTHON_VARIABLE) else "this Python"


def _cache() -> Path:
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "vbench")


def _entry(clip: VideoOfImage, dimensions: Sequence[str]) -> dict[str, object]:
    """One clip in the form of VBench's list of prompts."""
    return {
        "prompt_en": clip.prompt,
        "dimension": list(dimensions),
        "custom_image_path": str(clip.image.resolve()),
        "video_list": [str(clip.video.resolve())],
    }
