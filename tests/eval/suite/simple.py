"""A small table: what the suite does with any of them can be seen with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import depth_of, mean_psnr
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.benchmark import Curve, Needs, SuiteSettings, cell
from gen3r.pipeline import Gen3RPipeline

SHARE = Quantity(meaning="share of the frames", unit="", higher_is_better=True, worst=0.0)


@dataclass(frozen=True, kw_only=True)
class SimpleTable:
    """Copying the first frame and generating the others, by PSNR; depth where it is known; a curve over thresholds."""

    name: str = "simple"
    title: str = "Simple: PSNR of a clip"
    needs: Needs = field(default_factory=Needs)
    rows: Mapping[str, str] = field(default_factory=lambda: {"copy": "first frame", "gen1": "generated"})
    columns: Mapping[str, Quantity] = field(
        default_factory=lambda: {
            "psnr": Quantity(meaning="mean of all frames", unit="dB", higher_is_better=True, worst=0.0),
            "absrel": Quantity(meaning="depth", unit="", higher_is_better=False, worst=1.0),
        }
    )
    cells: tuple[str, ...] = ("copy/psnr", "gen1/psnr", "gen1/absrel")
    curves: tuple[Curve, ...] = (
        Curve(
            title="frames above a PSNR",
            x_label="dB",
            quantity=SHARE,
            points={"above10": 10.0, "above20": 20.0},
            rows=("copy", "gen1"),
        ),
    )
    absent: Mapping[str, str] = field(default_factory=lambda: {"lpips": "its backbone is not here"})

    def measure(self, tally: Tally, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings) -> None:
        scenes = stages.generate(
            pipeline,
            truths,
            (0,),
            noise_seed=settings.noise_seed,
            steps=settings.steps,
            guidance=settings.guidance,
        )
        for truth, scene in zip(truths, scenes, strict=True):
            videos = {"copy": truth.video[:1].expand_as(truth.video), "gen1": stages.frames_of(scene)}
            for row, video in videos.items():
                names = [cell(row, column) for column in ("psnr", "above10", "above20")]
                tally.attempt(
                    row, truth.seed, names, lambda row=row, video=video, truth=truth: _scores(row, video, truth)
                )
            if truth.has_depth:
                tally.attempt(
                    "depth",
                    truth.seed,
                    [cell("gen1", "absrel")],
                    lambda scene=scene, truth=truth: {cell("gen1", "absrel"): depth_of(scene.depth, truth).absrel},
                )


def _scores(row: str, video, truth: Truth) -> dict[str, float]:
    frames = [mean_psnr(video, truth, [frame]) for frame in range(truth.frames)]
    return {
        cell(row, "psnr"): sum(frames) / len(frames),
        cell(row, "above10"): sum(frame > 10 for frame in frames) / len(frames),
        cell(row, "above20"): sum(frame > 20 for frame in frames) / len(frames),
    }


BENCHMARK = SimpleTable()
