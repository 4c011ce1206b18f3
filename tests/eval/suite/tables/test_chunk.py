import pytest
import torch

from eval.suite.tables.conftest import tamed_pipeline
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.benchmark import SuiteSettings
from gen3r.eval.suite.tables.chunk import Chunk, Given
from gen3r.eval.suite.tables.predictions import generated_as_asked
from gen3r.pipeline import Gen3RPipeline

ONE_STEP = SuiteSettings(steps=1)
ONE, FREE, ALL = Given(views=1), Given(views=1, cameras=False), Given(views=None)


def batches(pipeline: Gen3RPipeline, most: int = 2) -> list[int]:
    """Sizes of the batches that the transformer is given from now on; more clips than ``most`` are too much."""
    sizes: list[int] = []

    def note(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > most:
            raise RuntimeError("out of memory")

    pipeline.transformer.register_forward_pre_hook(note)
    return sizes


def test_views_are_the_first_the_ends_or_all() -> None:
    assert [Given(views=views).at(5) for views in (1, 2, None)] == [(0,), (0, 4), (0, 1, 2, 3, 4)]


def test_the_same_clips_are_generated_once(truths: list[Truth]) -> None:
    pipeline = tamed_pipeline()
    sizes = batches(pipeline)
    chunk = Chunk(pipeline, truths[:1], ONE_STEP)
    first, again = chunk.generated(0, ONE), Chunk(pipeline, truths[:1], ONE_STEP)
    assert torch.equal(again.generated(0, ONE).video, first.video)
    assert again.seconds(ONE) == chunk.seconds(ONE) > 0
    assert sizes == [1]
    assert not torch.equal(again.generated(0, FREE).depth, first.depth)
    assert sizes == [1, 1]
    other_noise = Chunk(pipeline, truths[:1], SuiteSettings(steps=1, noise_seed=5))
    assert not torch.equal(other_noise.generated(0, ONE).video, first.video)
    assert sizes == [1, 1, 1]


def test_a_batch_that_fails_is_tried_again_clip_by_clip(truths: list[Truth]) -> None:
    pipeline = tamed_pipeline()
    alone = Chunk(pipeline, truths[1:], ONE_STEP).generated(0, ONE)
    sizes = batches(pipeline, most=1)
    chunk = Chunk(pipeline, truths, ONE_STEP)
    assert torch.equal(chunk.generated(1, ONE).video, alone.video)
    assert sizes == [2, 1, 1]


def test_two_stages_keep_the_frames_and_read_the_rest_in_them(pipeline: Gen3RPipeline, truths: list[Truth]) -> None:
    chunk = Chunk(pipeline, truths[:1], ONE_STEP)
    joint, two_stage = chunk.generated(0, ONE), chunk.generated_then_vggt(0, ONE)
    assert torch.equal(two_stage.video, joint.video)
    read = pipeline.reconstruct(joint.video)
    assert torch.equal(two_stage.depth, read.depth)
    assert torch.equal(two_stage.cameras.extrinsics, read.cameras.extrinsics)
    assert not torch.equal(two_stage.depth, joint.depth)


def test_requested_cameras_take_the_place_of_predicted_ones(pipeline: Gen3RPipeline, truths: list[Truth]) -> None:
    chunk = Chunk(pipeline, truths[:1], ONE_STEP)
    own, asked = chunk.generated(0, ONE), generated_as_asked(ONE)(chunk, 0)
    assert torch.equal(asked.depth, own.depth)
    assert torch.equal(asked.cameras.extrinsics, truths[0].cameras.extrinsics)
    assert not torch.equal(own.cameras.extrinsics, asked.cameras.extrinsics)


def test_frames_go_round_through_both_latents(pipeline: Gen3RPipeline, truths: list[Truth]) -> None:
    chunk = Chunk(pipeline, truths[:1], ONE_STEP)
    trip, truth = chunk.round_trip(0), truths[0]
    with torch.no_grad():
        video = pipeline.appearance.decode(pipeline.appearance.encode(truth.video[None]).mode())[0]
        latents = pipeline.geometry.encode(truth.video[None]).mode()
        output = pipeline.geometry.decode(latents, image_size=truth.size)
    torch.testing.assert_close(trip.video, video, atol=0.5 / 255 + 1e-6, rtol=0)
    torch.testing.assert_close(trip.depth, output.depth[0])
    assert trip.video.shape == chunk.vggt(0).video.shape == truth.video.shape


def test_nothing_of_a_pipeline_that_is_gone_is_kept(truths: list[Truth]) -> None:
    pipeline = tamed_pipeline()
    Chunk(pipeline, truths, ONE_STEP)
    before = len(Chunk._last)
    del pipeline
    assert len(Chunk._last) == before - 1


@pytest.mark.parametrize("given", [ONE, ALL])
def test_what_stops_a_model_stops_the_prediction(given: Given, truths: list[Truth]) -> None:
    pipeline = tamed_pipeline()
    batches(pipeline, most=0)
    chunk = Chunk(pipeline, truths[:1], ONE_STEP)
    with pytest.raises(RuntimeError, match="out of memory"):
        chunk.generated(0, given)
    assert chunk.seconds(given) > 0
