"""A second transformer for few steps: when it is taken, and how strictly it is read."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.hub.load import load_networks, open_model
from gen3r.pipeline import Gen3RPipeline, PipelineConfig, SceneRequest
from gen3r.pipeline.few_steps import FewSteps, choose, even_levels, scheduler_of
from pipeline.conftest import build_pipeline

FEW = FewSteps(levels=even_levels(2, 2.0), folder="transformer_2step")
USUAL = (20, 5.0)


@settings(max_examples=10)
@given(st.integers(1, 40), st.floats(0.2, 8.0))
def test_even_levels_are_even_before_the_shift(steps: int, shift: float) -> None:
    levels = FewSteps(levels=even_levels(steps, shift)).levels
    unshifted = torch.tensor([level / (shift - (shift - 1) * level) for level in levels])
    torch.testing.assert_close(unshifted, torch.linspace(1, 0, steps + 1)[:-1])
    scheduler = scheduler_of("euler", levels, "cpu")
    torch.testing.assert_close(torch.as_tensor(scheduler.sigmas), torch.tensor([*levels, 0.0]))


def test_the_usual_schedule_wastes_its_last_step() -> None:
    usual = FlowMatchEulerDiscreteScheduler(shift=2.0)
    usual.set_timesteps(4)
    assert 0 < float(torch.as_tensor(usual.sigmas)[-2]) < 0.005  # where its last step begins
    assert even_levels(4, 2.0)[-1] > 0.3


@pytest.mark.parametrize(
    ("steps", "guidance", "fast", "device", "taken"),
    [
        (None, None, None, "cpu", True),
        (None, None, None, "cuda", False),
        (2, None, None, "cuda", True),
        (None, None, True, "cuda", True),
        (2, 1.0, None, "cpu", True),
        (3, None, None, "cpu", False),
        (2, 3.0, None, "cpu", False),
        (2, None, False, "cpu", False),
        (None, None, False, "cpu", False),
    ],
)
def test_when_it_is_taken(steps: Any, guidance: Any, fast: Any, device: str, taken: bool) -> None:
    choice = choose(FEW, steps=steps, guidance=guidance, usual=USUAL, fast=fast, device=device)
    if taken:
        assert (choice.few, choice.steps, choice.guidance) == (FEW, 2, 1.0)
    else:
        assert (choice.few, choice.steps, choice.guidance) == (None, steps or 20, guidance or 5.0)


def test_what_does_not_suit_it_is_refused() -> None:
    with pytest.raises(ValueError, match="this one has none"):
        choose(None, steps=None, guidance=None, usual=USUAL, fast=True, device="cpu")
    for asked in ({"steps": 3, "guidance": None}, {"steps": None, "guidance": 2.0}):
        with pytest.raises(ValueError, match="goes 2 steps without guidance"):
            choose(FEW, usual=USUAL, fast=True, device="cpu", **asked)
    for wrong in ((0.9, 0.5), (1.0, 1.0), (1.0, 0.0), ()):
        with pytest.raises((ValueError, IndexError), match=r"fall from 1|range"):
            FewSteps(levels=wrong)
    with pytest.raises(ValueError, match="name of a folder"):
        FewSteps(levels=(1.0,), folder="../elsewhere")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose student is a transformer of other weights."""
    root = tmp_path_factory.mktemp("few")
    build_pipeline(1).save_pretrained(root / "other")
    plain = build_pipeline()
    networks = dataclasses.replace(plain.networks, few_steps=open_model(root / "other").parts["transformer"])
    Gen3RPipeline(networks, dataclasses.replace(plain.config, few_steps=FEW, steps=3)).save_pretrained(root / "model")
    return root


@pytest.mark.parametrize("sampler", ["euler", "lcm"])
def test_it_makes_the_scenes_of_its_own_weights(folder: Path, photo: torch.Tensor, sampler: Any) -> None:
    pipeline = Gen3RPipeline.from_pretrained(folder / "model")
    few = dataclasses.replace(FEW, sampler=sampler)
    pipeline.config = dataclasses.replace(pipeline.config, few_steps=few)
    scene = pipeline([photo], generator=3)
    assert scene.provenance["settings"]["few_steps"] is True
    assert scene.provenance["settings"]["steps"] == 2
    other = build_pipeline(1)  # the same weights in the other place, on the same levels
    there = dataclasses.replace(pipeline.networks, transformer=other.transformer, few_steps=None)
    alone = Gen3RPipeline(there, dataclasses.replace(pipeline.config, few_steps=dataclasses.replace(few, folder=None)))
    assert torch.equal(scene.rgb, alone([photo], generator=3).rgb)
    if sampler == "lcm":  # its noise is each request's own
        both = pipeline.generate_batch([SceneRequest(views=[photo], generator=seed) for seed in (8, 3)])
        torch.testing.assert_close(both[1].depth, scene.depth, atol=1e-4, rtol=1e-4)


def test_the_other_transformer_is_as_it_was(folder: Path, photo: torch.Tensor) -> None:
    pipeline = Gen3RPipeline.from_pretrained(folder / "model")
    plain = build_pipeline()
    expected = plain([photo], steps=3, generator=3)
    assert torch.equal(pipeline([photo], generator=3, fast=False).rgb, expected.rgb)
    assert expected.provenance["settings"]["few_steps"] is False
    with pytest.raises(ValueError, match="has none"):
        plain([photo], fast=True)


def test_a_folder_is_read_strictly(folder: Path, tmp_path: Path) -> None:
    values = json.loads((folder / "model" / "pipeline.json").read_text())

    def opened(few: Any) -> None:
        (folder / "model" / "pipeline.json").write_text(json.dumps(values | {"few_steps": few}))
        load_networks(folder / "model", PipelineConfig)

    try:
        for few, problem in (
            (values["few_steps"] | {"folder": "elsewhere"}, "found neither"),
            (values["few_steps"] | {"folder": "../other"}, "beside pipeline.json"),
            (values["few_steps"] | {"turbo": 1}, "unknown fields"),
            (values["few_steps"] | {"sampler": "heun"}, "one of euler, lcm"),
        ):
            with pytest.raises(ValueError, match=problem):
                opened(few)
    finally:
        (folder / "model" / "pipeline.json").write_text(json.dumps(values))
