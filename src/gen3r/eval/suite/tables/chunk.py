"""What a model makes of a few clips, each thing once: tables that ask for the same scenes share them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

import torch

from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.benchmark import SuiteSettings
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.hub.networks import VAE
from gen3r.latents.codecs import ClipGeometry
from gen3r.latents.joint import JointLatent
from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.decode import scenes_from_output
from gen3r.scene.scene import Scene

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a model is told of a clip, beside its caption."""

    views: int | None
    """1: the first frame, 2: the first and the last, None: all frames."""
    cameras: bool = True
    """Whether it is told the true cameras."""

    def at(self, frames: int) -> tuple[int, ...]:
        """Frame indices of the views."""
        return tuple(range(frames)) if self.views is None else (0, frames - 1)[: self.views]


@dataclass(kw_only=True)
class _Made:
    truths: tuple[Truth, ...]
    settings: SuiteSettings
    results: dict[Hashable, Any] = field(default_factory=dict)


class Chunk:
    """Clips that are generated together, and the model. Clips are meant by their place.

    The results of the last clips of each pipeline are kept: handing in the same truths (the same objects) with the same
    settings again finds them.
    """

    _last: ClassVar[WeakKeyDictionary[Gen3RPipeline, _Made]] = WeakKeyDictionary()

    def __init__(self, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings) -> None:
        self.pipeline, self.truths, self.settings = pipeline, tuple(truths), settings
        last = self._last.get(pipeline)
        if last is None or last.settings != settings or [*map(id, last.truths)] != [*map(id, truths)]:
            last = self._last[pipeline] = _Made(truths=self.truths, settings=settings)
        self._results = last.results

    def generated(self, place: int, given: Given) -> Prediction:
        """The generated scene: its frames, depth and cameras from one latent.

        Where cameras were given, lengths are in mean depths of the first true view, whatever unit the model was told
        them in.
        """
        (scenes, _), truth = self._scenes(given), self.truths[place]
        prediction = Prediction.of_scene(stages.made(scenes[place]), truth)
        own_unit = self.pipeline.config.conditioning.normalize_scale or not given.cameras
        return prediction if own_unit else prediction.scaled(1 / truth.unit)

    def seconds(self, given: Given) -> float:
        """Time to generate, per clip."""
        _, seconds = self._scenes(given)
        return seconds / len(self.truths)

    def generated_then_vggt(self, place: int, given: Given) -> Prediction:
        """The generated frames, with VGGT's depth and cameras of them: what two separate models would give."""

        def read() -> Prediction:
            prediction = self.generated(place, given)
            return replace(self._vggt(place, prediction), video=prediction.video)

        return self._once(("two-stage", place, given), read)

    def vggt(self, place: int) -> Prediction:
        """VGGT's depth and cameras of all true frames."""
        return self._once(("vggt", place), lambda: self._vggt(place, Prediction.of_truth(self.truths[place])))

    def round_trip(self, place: int) -> Prediction:
        """The true frames, as latents and back: what the autoencoders alone lose.

        Geometry codecs that encode geometry rather than pictures get the true one; those of one half read the geometry
        in the frames that come back.
        """
        return self._once(("round trip", place), lambda: self._round_trip(self.truths[place]))

    def _round_trip(self, truth: Truth) -> Prediction:
        pipeline, video = self.pipeline, truth.video[None]
        grid, codec = pipeline.grid(truth.frames, truth.size), pipeline.geometry
        with pipeline.residency.use(VAE, pipeline.appearance):
            appearance = pipeline.appearance.encode(video).mode()
        geometry = None
        if codec.halves == 2:
            known = ClipGeometry(depth=truth.depth[None], cameras=truth.cameras[None])
            with ExitStack() as stack:
                for name, parts in codec.encoding().items():
                    stack.enter_context(pipeline.residency.use(name, *parts))
                geometry = codec.encode(video, known if codec.needs_truth else None).mode()
        frames, output = pipeline.decode(JointLatent(appearance=appearance, geometry=geometry).tensor, grid)
        scenes = scenes_from_output(frames, output, scales=[1.0], config=pipeline.config, provenance=[{}])
        return Prediction.of_scene(scenes[0], truth)

    def _vggt(self, place: int, prediction: Prediction) -> Prediction:
        truth = self.truths[place]
        return Prediction.of_scene(self.pipeline.reconstruct(prediction.video.cpu(), size=truth.size), truth)

    def _scenes(self, given: Given) -> tuple[list[Scene | Exception], float]:
        at = given.at(self.truths[0].frames)

        def make(truths: Sequence[Truth]) -> Sequence[Scene]:
            return stages.generate(
                self.pipeline,
                truths,
                at,
                noise_seed=self.settings.noise_seed,
                steps=self.settings.steps,
                guidance=self.settings.guidance,
                follow=given.cameras,
            )

        def scenes() -> tuple[list[Scene | Exception], float]:
            return stages.timed(lambda: stages.generate_each(self.pipeline, self.truths, make), self.pipeline.device)

        return self._once(("scenes", at, given.cameras), scenes)

    @torch.no_grad()
    def _once(self, key: Hashable, make: Callable[[], Result]) -> Result:
        if key not in self._results:
            self._results[key] = make()
        return self._results[key]
