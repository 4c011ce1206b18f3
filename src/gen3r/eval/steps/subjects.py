"""Who goes the steps: a model's transformer, the same on even levels, and its student for few steps."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.few_steps import FewSteps, even_levels


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A curve of its own."""

    label: str
    """On the curve and in the table."""
    at: Callable[[int], Gen3RPipeline]
    """The pipeline that goes so many steps where nothing else is asked for."""


def subjects_of(name: str, pipeline: Gen3RPipeline, *, even: bool = False) -> list[Subject]:
    """What a model has to show: its transformer by the usual schedule first, its student last.

    Args:
        name: of the model.
        pipeline: ready to run.
        even: the transformer on ``even_levels`` as well, which tells apart what distillation brings and what the levels
            do: the usual schedule hardly moves in its last step.
    """
    found = [Subject(label=name, at=lambda steps: _variant(pipeline, None))]
    shift, here = pipeline.config.shift, pipeline.device.type
    if even:
        found.append(
            Subject(
                label=f"{name} on even levels",
                at=lambda steps: _variant(pipeline, FewSteps(levels=even_levels(steps, shift), default_on=(here,))),
            )
        )
    few = pipeline.config.few_steps
    if few is not None and few.folder is not None:
        _ = pipeline.few_steps_transformer  # read once, for all numbers of steps

        def student(steps: int) -> Gen3RPipeline:
            levels = few.levels if steps == few.steps else even_levels(steps, shift)
            return _variant(pipeline, dataclasses.replace(few, levels=levels, default_on=(here,)))

        found.append(Subject(label=f"{name} student", at=student))
    return found


def _variant(pipeline: Gen3RPipeline, few: FewSteps | None) -> Gen3RPipeline:
    """The same networks, sampled in another way."""
    variant = copy.copy(pipeline)
    variant.config = dataclasses.replace(pipeline.config, few_steps=few)
    return variant
