"""``gen3r generate --batch``: a file of requests to a folder of scenes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gen3r.cli.sizes import parse_size
from gen3r.cli.terminal import progress_bar, say

if TYPE_CHECKING:
    from gen3r.cli.generate import Generate
    from gen3r.jobs import RunReport
    from gen3r.jobs.scenes.orders import SceneOrder
    from gen3r.jobs.scenes.verdicts import Limits

ONE_SCENE = ("views", "prompt", "at")
"""Options of `Generate` that lines of the file say."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """With --batch: which scenes are kept, and how. Other options stand for what a line leaves out (docs/scale.md)."""

    min_agreement: Annotated[float | None, tyro.conf.arg(metavar="SHARE")] = None
    """Reject scenes where other frames confirm less than this share of the depth, 0 to 1."""
    max_color_error: Annotated[float | None, tyro.conf.arg(metavar="DIFFERENCE")] = None
    """Reject scenes whose frames differ by more where they see the same surface, 0 to 1."""
    min_motion: Annotated[float | None, tyro.conf.arg(metavar="SHARE")] = None
    """Reject scenes whose pixels move less from frame to frame, as a share of the diagonal."""
    min_valid: Annotated[float | None, tyro.conf.arg(metavar="SHARE")] = None
    """Reject scenes where a smaller share of the pixels has depth, 0 to 1."""
    duplicate_bits: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Reject scenes that look like an earlier one: no frame differs in more of the 64 bits of its perceptual hash. 4 is
    strict, 10 is loose. Needs the extra data."""
    drop_rejected: bool = False
    """Delete the files of rejected scenes; what is known of them stays."""
    as_clips: bool = False
    """Write accepted scenes as clips to train on, too (gen3r train --data DIR/clips)."""
    licence: str | None = None
    """What these clips say of their licence. Left out, whose output they are."""

    def limits(self) -> Limits:
        """The thresholds.

        Raises:
            ValueError: for one out of range.
        """
        from gen3r.jobs.scenes.verdicts import Limits

        return Limits(**{item.name: getattr(self, item.name) for item in fields(Limits)})


def check_alone(generate: Generate) -> None:
    """Whether options of batches are used with --batch alone.

    Raises:
        ValueError: naming the option.
    """
    for options in (generate.selection, generate.running):
        for item in fields(options):
            if getattr(options, item.name) != item.default:
                raise ValueError(f"--{item.name.replace('_', '-')} goes with --batch FILE; leave it out.")


def run_batch(generate: Generate) -> None:
    """Make all scenes of ``generate.batch`` that are not there yet.

    Raises:
        ValueError: for whatever is wrong with the file or the options, before any work; and at the end, if scenes could
            not be made.
    """
    assert generate.batch is not None
    for name in ONE_SCENE:
        if getattr(generate, name):
            option = "VIEW" if name == "views" else f"--{name}"
            raise ValueError(f"--batch takes what to make from the lines of its file, got {option} too; leave it out.")
    if generate.fast:
        raise ValueError("--fast goes without --batch; ask for the few-step transformer by its number of --steps.")
    if generate.speed.parallel != "none":
        raise ValueError("--parallel shares one scene between GPUs; with --batch, give each worker a scene: --workers.")
    if ":" in generate.loading.device and (generate.running.workers > 1 or generate.running.backend != "local"):
        raise ValueError(
            f"--device {generate.loading.device} is one GPU; several workers take one each: use --device cuda."
        )
    limits, options = generate.selection.limits(), generate.running.options()

    from gen3r.jobs.scenes.batch import make_scenes
    from gen3r.jobs.scenes.orders import read_orders

    orders = read_orders(generate.batch, _defaults(generate), seed=generate.seed)
    settings = _settings(generate)
    selection = generate.selection
    with progress_bar("Generating scenes") as advance:
        report = make_scenes(
            orders,
            settings,
            generate.out,
            limits=limits,
            keep_rejected=not selection.drop_rejected,
            clips=selection.as_clips,
            licence=selection.licence or f"output of the model {generate.loading.model}",
            options=options,
            gpus=generate.running.gpus(generate.loading.device),
            progress=advance,
        )
    for line in report.run.lines():
        say(line)
    say(
        f"{', '.join(f'{count} {status}' for status, count in sorted(report.counts.items()))} of {len(orders)} requests"
    )
    if report.others:
        say(f"{report.others} scenes of earlier runs that the file does not ask for are in {generate.out / 'rejected'}")
    say(f"Look first at {generate.out / 'manifest.jsonl'}")
    _check_failed(report.run, "scenes could not be made")
    if report.clips is not None:
        _check_failed(report.clips, "clips could not be written")


def _defaults(generate: Generate) -> SceneOrder:
    """What lines leave out."""
    from gen3r.cameras.trajectories import TRAJECTORIES
    from gen3r.cli.camera_paths import FREE, check_cameras
    from gen3r.jobs.scenes.orders import SceneOrder

    check_cameras(generate.cameras)
    named = generate.cameras in TRAJECTORIES
    return SceneOrder(
        trajectory=generate.cameras if named and generate.cameras != FREE else None,
        cameras=None if named or generate.cameras == FREE else str(Path(generate.cameras).resolve()),
        camera_scale=generate.camera_scale,
        frames=generate.frames,
        size=parse_size(generate.size),
        steps=generate.steps,
        guidance=generate.guidance,
    )


def _settings(generate: Generate) -> dict[str, Any]:
    """How each worker loads its pipeline. The model is fetched first, once."""
    loading = generate.loading
    folder = loading.find()
    generate.speed.acceleration()
    text_cache = loading.text_cache_folder(folder)
    speed = generate.speed
    plain = not (speed.compile or speed.attention or speed.step_cache != "none" or speed.guidance_skip)
    return {
        "model": str(Path(loading.model).resolve()) if Path(loading.model).exists() else loading.model,
        "revision": loading.revision,
        "device": loading.device,
        "dtype": loading.dtype,
        "vram": loading.vram,
        "numerics": loading.numerics,
        "text_cache": None if text_cache is None else str(text_cache.resolve()),
        "scene_cameras": generate.scene_cameras,
        "acceleration": None
        if plain
        else {
            "compile": speed.compile,
            "attention": speed.attention,
            "cache": None if speed.step_cache == "none" else speed.step_cache,
            "guidance_skip": speed.guidance_skip,
        },
    }


def _check_failed(report: RunReport, what: str) -> None:
    if report.failed:
        key, reason = next(iter(report.failed.items()))
        raise ValueError(f"{len(report.failed)} {what}, such as {key}: {reason}; mend that and run the command again.")
