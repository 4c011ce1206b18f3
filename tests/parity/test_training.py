"""The diffusion objective with the official choices against the official training step."""

import dataclasses
from typing import Any

import pytest
import torch

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.hub.convert.transformer import transformer_keys
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import DiffusionStage, NoiseConfig, TextConfig
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.noise import draw_levels, table_levels
from parity._goldens import Golden, goldens
from parity._networks import transformer

STEP = goldens("train_step")
EXACT = NoiseConfig(table=True)
"""The golden was made in float32: its levels are not rounded."""


def objective_of(golden: Golden) -> tuple[DiffusionObjective, dict[str, Any]]:
    """The objective on stored features, and the golden's batch."""
    model = transformer(golden.used("transformer"))
    stage = DiffusionStage(
        network=model.settings, text=TextConfig(), loop=LoopConfig(steps=1, batch_size=2), shift=2.0, outlier=50.0,
        noise=EXACT, conditioning=ConditioningConfig(normalize_scale=False),
    )  # fmt: skip
    batch = {
        "clean": golden["x0"],
        "control": golden["y"],
        "text": golden["context"],
        "camera": golden["y_camera"].float(),
        "image": golden["clip_fea"].float(),
    }
    return DiffusionObjective(model, None, stage), batch


@pytest.mark.parametrize("golden", STEP, ids=str)
def test_objective_takes_the_official_step(golden: Golden) -> None:
    objective, batch = objective_of(golden)
    levels = table_levels(golden["indices"], EXACT, 2.0)
    golden.check("timesteps", levels.timestep)
    golden.check("sigmas", levels.sigma.view(-1, 1, 1, 1, 1))
    golden.check("pred", objective.velocity(objective.condition(batch), golden["noisy"], levels.timestep))
    appearance, geometry = objective.errors(batch, levels, golden["noise"])
    total = (appearance.mean() + geometry.mean()) / 2
    golden.check("loss", total)
    total.backward()
    keys = transformer_keys(objective.networks["transformer"].settings.num_layers)
    named = objective.networks["transformer"].named_parameters()
    gradients = {keys.to_official(name): value.grad for name, value in named}
    golden.check("grad.patch_embedding.bias", gradients["patch_embedding.bias"])
    present = [value.norm() for value in gradients.values() if value is not None]
    golden.check("grad_norm", torch.stack(present).norm())


@pytest.mark.parametrize("golden", STEP, ids=str)
def test_rounded_levels_change_the_mixture_alone(golden: Golden) -> None:
    exact = table_levels(golden["indices"], EXACT, 2.0)
    rounded = table_levels(golden["indices"], dataclasses.replace(EXACT, bfloat16=True), 2.0)
    assert torch.equal(rounded.timestep, exact.timestep)
    assert torch.equal(rounded.sigma, exact.sigma.bfloat16().float())


def test_every_place_of_the_table_is_drawn_alike() -> None:
    drawn = draw_levels(200_000, EXACT, 2.0, torch.Generator().manual_seed(0)).timestep
    counts = torch.unique(drawn, return_counts=True)[1].double()
    assert len(counts) == 1000
    assert float(((counts - 200) ** 2 / 200).sum()) < 1150  # chi-squared of 999 degrees, 3.3 deviations
