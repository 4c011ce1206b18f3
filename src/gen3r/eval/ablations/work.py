"""The unit of work of a study: trains a run, and measures it if it is one of diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from rich.console import Console

from gen3r.data.clip import Clip
from gen3r.eval.ablations.measuring import held_out, is_measured, measure_run
from gen3r.eval.ablations.results import write_results
from gen3r.eval.ablations.study import PlannedRun, Study, StudyConfig
from gen3r.eval.ablations.training import is_finished, missing_foundations, train_run
from gen3r.hub.folder import config_from_dict


class TrainAndMeasure:
    """Does one run of a study. Whatever is there already is not done again.

    Args:
        settings: ``config`` (of ``StudyConfig``, as JSON) and ``command`` for the record.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.study = Study(config_from_dict(StudyConfig, dict(settings["config"]), "the study"))
        self.command = settings["command"]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The run of ``item``, one of `runs_due`; returns what its training took."""
        run = planned(self.study)[item["key"]]
        facts = train_run(self.study, run, Console(stderr=True))
        if run.stage == "diffusion":
            measure_run(self.study, run, self._clips, self.device)
            write_results(self.study, command=self.command)
        return facts

    @cached_property
    def _clips(self) -> list[Clip]:
        return held_out(self.study, self.device)


def planned(study: Study) -> dict[str, PlannedRun]:
    """Every run of a study by the name of its folder."""
    runs = (*study.foundations.values(), *study.adapters.values(), *study.runs.values())
    return {run.name: run for run in runs}


def runs_due(study: Study) -> list[list[PlannedRun]]:
    """What is left to do, in rounds: VGGT and VAE, adapters, diffusion. Runs of a round need nothing of each other."""
    adapters = [run for run in study.adapters.values() if not is_finished(study, run)]
    diffusion = [run for run in study.runs.values() if not (is_finished(study, run) and is_measured(study, run))]
    return [missing_foundations(study), adapters, diffusion]
