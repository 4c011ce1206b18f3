import dataclasses
import json

import pytest
import torch

from gen3r.cameras import Cameras
from gen3r.pipeline import Gen3RPipeline, SceneRequest
from gen3r.pipeline.cameras import camera_path
from gen3r.pipeline.request import place_request

from .conftest import FRAMES, SIDE, build_pipeline


def path(distance: float, frames: int = FRAMES) -> Cameras:
    extrinsics = torch.eye(4).repeat(frames, 1, 1)
    extrinsics[:, 2, 3] = -torch.linspace(0, distance, frames)
    return Cameras.from_fov(extrinsics, 1.0, SIDE, SIDE)


def same(first, second, tolerance=1e-4) -> bool:
    return bool(torch.allclose(first.depth, second.depth, rtol=tolerance, atol=tolerance)) and bool(
        ((first.rgb.int() - second.rgb.int()).abs() <= 1).all()
    )


@pytest.mark.parametrize(
    "request_",
    [
        {"prompt": "a red room"},
        {"views": 1},
        {"views": 2, "cameras": "free"},
        {"views": 2, "at": [3, 1], "cameras": "orbit"},
        {"views": FRAMES, "cameras": "zoom_in"},
        {"views": 1, "cameras": path(0.2), "camera_scale": 1.0},
    ],
    ids=["text", "one view", "two views", "any views", "all views", "user cameras"],
)
def test_every_kind_of_request_gives_a_scene(pipeline: Gen3RPipeline, photo, request_) -> None:
    count = request_.pop("views", 0)
    views = photo.repeat(count, 1, 1, 1) if count else None
    scene = pipeline(views, **request_, generator=3)
    assert (scene.frames, scene.height, scene.width) == (FRAMES, SIDE, SIDE)
    assert torch.equal(scene.cameras.extrinsics[0], torch.eye(4))
    assert scene.provenance["settings"]["seed"] == 3
    json.dumps(scene.provenance)


def test_the_same_seed_gives_the_same_scene_whatever_its_batch(pipeline: Gen3RPipeline, photo) -> None:
    alone = pipeline([photo], "a red ball", cameras=path(0.3), generator=11)
    other = SceneRequest(prompt="a room", generator=5)
    wanted = SceneRequest(views=[photo], prompt="a red ball", cameras=path(0.3), generator=11)
    assert same(alone, pipeline.generate_batch([other, wanted])[1])
    assert not same(alone, pipeline([photo], "a red ball", cameras=path(0.3), generator=12))


def test_a_generator_is_as_good_as_its_seed(pipeline: Gen3RPipeline, photo) -> None:
    generator = torch.Generator().manual_seed(4)
    assert same(pipeline([photo], generator=4), pipeline([photo], generator=generator))


def test_a_used_generator_leaves_no_seed_that_would_lie(pipeline: Gen3RPipeline, photo) -> None:
    generator = torch.Generator().manual_seed(4)
    assert pipeline([photo], generator=generator).provenance["settings"]["seed"] == 4
    assert pipeline([photo], generator=generator).provenance["settings"]["seed"] is None


def test_sampled_control_comes_from_the_generator_too(photo) -> None:
    pipeline = build_pipeline(sample_control=True)
    first, again = (pipeline([photo], generator=4) for _ in range(2))
    assert torch.equal(first.rgb, again.rgb)
    assert torch.equal(first.depth, again.depth)


def test_official_cameras_are_taken_as_they_are(pipeline: Gen3RPipeline, photo) -> None:
    """Without normalisation neither unit nor reach of the training matter."""
    official = build_pipeline(normalize_scale=False)
    far = path(60.0)
    placed = place_request(SceneRequest(views=[photo], cameras=far), official.grid())
    found = camera_path(
        SceneRequest(views=[photo], cameras=far), placed, official.grid(), official.geometry.vggt, official.config
    )
    assert found.scale == 1.0
    torch.testing.assert_close(found.cameras.extrinsics, far.extrinsics)
    depth = official.geometry.vggt(placed.pictures[None]).depth
    named = camera_path(
        SceneRequest(views=[photo], cameras="zoom_in"), placed, official.grid(), official.geometry.vggt, official.config
    )
    reach = named.cameras.centers.norm(dim=-1).max()
    assert float(reach) == pytest.approx(0.8 * float(depth.median()), rel=1e-4)
    with pytest.raises(ValueError, match="no camera_scale"):
        official([photo], cameras=path(0.3), camera_scale=2.0)


def test_guidance_against_the_same_prompt_costs_nothing(pipeline: Gen3RPipeline, photo, monkeypatch) -> None:
    calls = []
    forward = pipeline.transformer.forward
    monkeypatch.setattr(pipeline.transformer, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    pipeline([photo], "", guidance=4.0, steps=2)
    assert len(calls) == 2
    pipeline([photo], "a red ball", guidance=4.0, steps=2)
    assert len(calls) == 6


def test_image_features_reach_the_transformer(photo, tmp_path) -> None:
    """A model with image conditioning, as the official one, generates and comes back from its folder."""
    pipeline = build_pipeline(image_dim=32)
    scene = pipeline([photo], generator=1)
    assert not same(scene, pipeline([1 - photo], generator=1))
    pipeline.save_pretrained(tmp_path / "model")
    loaded = Gen3RPipeline.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded([photo], generator=1).rgb, scene.rgb)
    with pytest.raises(ValueError, match="image encoder"):
        Gen3RPipeline(dataclasses.replace(pipeline.networks, image=None), pipeline.config)


def test_cameras_and_text_are_heard(pipeline: Gen3RPipeline, photo) -> None:
    base = pipeline([photo], generator=1)
    assert not torch.equal(base.depth, pipeline([photo], cameras=path(0.5), generator=1).depth)
    assert not torch.equal(base.depth, pipeline([photo], "a red ball", generator=1).depth)


def test_guidance_moves_along_the_difference_of_the_branches(pipeline: Gen3RPipeline, photo) -> None:
    """With one step, latents are linear in guidance, so the scene at 1 lies between those at 0 and 2."""
    from gen3r.pipeline.cameras import CameraPath
    from gen3r.pipeline.request import place_request

    grid = pipeline.grid()
    request = SceneRequest(views=[photo], prompt="a red ball")
    placed = place_request(request, grid)
    free = CameraPath(cameras=None, scale=1.0, source="free")
    condition = pipeline.encode_conditions([request], [placed], [free], grid)
    noise = torch.randn(1, *grid.joint_shape)
    with torch.no_grad():
        low, one, high = (pipeline.denoise(noise, condition, steps=1, guidance=w) for w in (0.0, 1.0, 2.0))
    torch.testing.assert_close((low + high) / 2, one, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(low, high, atol=1e-6)


def test_camera_scale_sets_the_unit_of_the_result(pipeline: Gen3RPipeline, photo) -> None:
    """The same path in millimetres gives the same pictures, and depth in millimetres."""
    metres = pipeline([photo], cameras=path(0.3), camera_scale=1.0, generator=2)
    millimetres = pipeline([photo], cameras=path(300.0), camera_scale=1000.0, generator=2)
    torch.testing.assert_close(millimetres.depth / 1000, metres.depth, rtol=1e-3, atol=1e-4)


def test_scenes_carry_predicted_or_requested_cameras(pipeline: Gen3RPipeline, photo) -> None:
    asked = path(300.0)
    predicted, requested = (
        pipeline([photo], cameras=asked, camera_scale=1000.0, scene_cameras=choice, generator=2)
        for choice in ("predicted", "requested")
    )
    torch.testing.assert_close(requested.cameras.extrinsics, asked.extrinsics, atol=1e-3, rtol=1e-5)
    assert not torch.allclose(predicted.cameras.extrinsics, asked.extrinsics, atol=1.0)
    assert torch.equal(predicted.depth, requested.depth)
    free = pipeline([photo], scene_cameras="requested", generator=2)
    assert free.provenance["settings"]["scene_cameras"] == "predicted"


def test_a_path_too_long_for_the_model_is_shrunk(pipeline: Gen3RPipeline, photo) -> None:
    scene = pipeline([photo], cameras=path(60.0), generator=2)
    assert "shrunk" in scene.provenance["settings"]["cameras"]
    fits = pipeline([photo], cameras=path(pipeline.config.max_travel), generator=2)
    torch.testing.assert_close(scene.depth / (60.0 / pipeline.config.max_travel), fits.depth, rtol=1e-3, atol=1e-4)


def test_views_of_any_size_are_cropped(pipeline: Gen3RPipeline) -> None:
    scene = pipeline([torch.rand(3, 90, 200), torch.rand(3, 300, 130)], generator=1)
    assert scene.provenance["settings"]["views_at"] == [0, FRAMES - 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"frames": 6}, "use 5 or 9"),
        ({"size": (100, 112)}, "use 112"),
        ({"cameras": "somersault"}, "orbit"),
        ({"at": [9]}, "0..4"),
        ({"cameras": path(1.0, frames=3)}, "one camera per frame"),
        ({"steps": 0}, "at least one denoising step"),
        ({"camera_scale": -1.0}, "positive"),
        ({"guidance": float("nan")}, "finite guidance"),
        ({"guidance": float("inf")}, "finite guidance"),
        ({"cameras": path(1e30)}, "check their unit"),
        ({"generator": 2**64}, "seed from 0"),
        ({"generator": -1}, "seed from 0"),
    ],
)
def test_bad_requests_say_what_to_do(pipeline: Gen3RPipeline, photo, arguments, said) -> None:
    with pytest.raises(ValueError, match=said):
        pipeline([photo], **arguments)


def test_pixels_must_be_in_range(pipeline: Gen3RPipeline, photo) -> None:
    with pytest.raises(ValueError, match="divide 8-bit"):
        pipeline([photo * 255])
    for wrong in (photo * 255, photo[:, :0]):
        with pytest.raises(ValueError, match="in \\[0, 1\\]"):
            pipeline.reconstruct([wrong])


def test_the_callback_counts_steps_and_can_cancel(pipeline: Gen3RPipeline, photo) -> None:
    seen = []
    pipeline([photo], steps=3, callback=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline([photo], callback=cancel)


def test_previews_come_before_the_callback_and_change_nothing(pipeline: Gen3RPipeline, photo) -> None:
    events: list[torch.Tensor | int] = []
    watched = pipeline(
        [photo], steps=2, generator=1, preview=events.append, callback=lambda done, _total: events.append(done)
    )
    assert torch.equal(watched.rgb, pipeline([photo], steps=2, generator=1).rgb)
    first, one, second, two = events
    assert (one, two) == (1, 2)
    assert isinstance(first, torch.Tensor)
    assert isinstance(second, torch.Tensor)
    assert first.dtype == second.dtype == torch.uint8
    assert first.shape == second.shape == watched.rgb.shape[1:]
    assert not torch.equal(first, second)


def test_reconstruction_takes_any_number_of_pictures(pipeline: Gen3RPipeline) -> None:
    scene = pipeline.reconstruct(torch.rand(3, 3, SIDE, SIDE))
    assert scene.frames == 3
    assert scene.provenance["kind"] == "reconstructed"


def test_a_saved_pipeline_is_the_same_pipeline(pipeline: Gen3RPipeline, photo, tmp_path) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    loaded = Gen3RPipeline.from_pretrained(tmp_path / "model")
    assert loaded.config == pipeline.config
    first, second = (p([photo], "a red ball", cameras="orbit", generator=9) for p in (pipeline, loaded))
    assert torch.equal(first.depth, second.depth)
    assert torch.equal(first.rgb, second.rgb)


def test_bf16_networks_stay_close_to_float32(photo) -> None:
    pipeline = build_pipeline()
    reference = pipeline([photo], generator=1)
    narrow = pipeline.to("cpu", torch.bfloat16)([photo], generator=1)
    assert next(pipeline.geometry.vggt.parameters()).dtype == torch.float32
    assert (narrow.rgb.float() - reference.rgb.float()).abs().mean() < 8
