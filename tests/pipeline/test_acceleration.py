"""Options that trade something for speed: they run, they save work, they end with the run."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import jaxtyping
import pytest
import torch
from diffusers import attention_backend
from diffusers.hooks import apply_group_offloading
from diffusers.models.attention_dispatch import AttentionBackendName
from torch import Tensor

from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.acceleration import ATTENTION_BACKENDS, Acceleration, accelerated, compiled_blocks
from gen3r.pipeline.guidance import GUIDANCE_MODES
from gen3r.pipeline.step_cache import (
    STEP_CACHES,
    FirstBlockCache,
    MagnitudeCache,
    StepCache,
    TaylorCache,
    calibrate_magnitudes,
    step_cached,
)

from .denoising import CONFIG, STEPS, build_transformer, count_calls, generate

RATIOS = tuple(1.0 + 0.01 * (-1) ** step for step in range(STEPS))
ON: dict[str, StepCache] = {
    "first_block": FirstBlockCache(threshold=0.2),
    "mag": MagnitudeCache(ratios=RATIOS),
    "taylorseer": TaylorCache(),
}
OFF: dict[str, StepCache] = {
    "first_block": FirstBlockCache(threshold=0.0),
    "mag": MagnitudeCache(ratios=RATIOS, threshold=0.0),
    "taylorseer": TaylorCache(interval=1),
}
MODES = sorted(GUIDANCE_MODES)


def drift(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def run(transformer: JointTransformer, cache: StepCache | None, **options: object) -> Tensor:
    with accelerated(transformer, Acceleration(cache=cache), STEPS):
        return generate(transformer, **options)


def test_every_step_cache_is_tested() -> None:
    assert ON.keys() == OFF.keys() == STEP_CACHES.keys()
    assert all(type(ON[name]) is cache for name, cache in STEP_CACHES.items())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STEP_CACHES)
def test_a_step_cache_that_tolerates_nothing_changes_nothing(name: str, mode: str) -> None:
    transformer = build_transformer()
    plain = generate(transformer, mode=mode, guidance_skip=0.25)
    assert torch.equal(run(transformer, OFF[name], mode=mode, guidance_skip=0.25), plain)


@pytest.mark.parametrize("skip", [0.0, 0.5])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STEP_CACHES)
def test_a_step_cache_skips_blocks_and_drifts_little(name: str, mode: str, skip: float) -> None:
    transformer = build_transformer()
    last = count_calls(transformer.blocks[-1].attn1)
    plain = generate(transformer, mode=mode, guidance_skip=skip)
    forwards = len(last)
    last.clear()
    cached = run(transformer, ON[name], mode=mode, guidance_skip=skip)
    assert 0 < len(last) < forwards
    assert 0 < drift(cached, plain) < 0.1


@pytest.mark.parametrize("name", STEP_CACHES)
def test_runs_leave_nothing_behind(name: str) -> None:
    transformer = build_transformer()
    plain = generate(transformer)
    first, second = (run(transformer, ON[name]) for _ in range(2))
    assert torch.equal(first, second)
    assert not transformer.is_cache_enabled
    assert torch.equal(generate(transformer), plain)

    def cancel(done: int, _total: int) -> None:
        if done == STEPS // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(transformer, ON[name], callback=cancel)
    assert torch.equal(generate(transformer), plain)
    assert torch.equal(run(transformer, ON[name]), first)


def test_two_runs_of_one_enabled_cache_need_a_context_each() -> None:
    transformer = build_transformer()
    with (
        accelerated(transformer, Acceleration(cache=ON["mag"]), STEPS),
        pytest.raises(ValueError, match="already been enabled"),
        accelerated(transformer, Acceleration(cache=ON["taylorseer"]), STEPS),
    ):
        raise AssertionError
    assert not transformer.is_cache_enabled


def test_branches_keep_their_own_states() -> None:
    """Were the branches to share a state, the second would find the first one's residual and never match."""
    transformer = build_transformer()
    single = replace(CONFIG, num_layers=2)
    for name in STEP_CACHES:
        passes = run(transformer, ON[name], mode="passes")
        batch = run(transformer, ON[name], mode="batch")
        if name != "first_block":  # decides by the mean over the batch
            torch.testing.assert_close(passes, batch, atol=1e-4, rtol=1e-4)
        smallest = build_transformer(single)
        assert drift(run(smallest, ON[name]), generate(smallest)) < 0.1


def test_a_taylor_cache_runs_the_blocks_every_so_often() -> None:
    transformer = build_transformer()
    calls = count_calls(transformer.blocks[0].attn1)
    for interval, computed in ((1, STEPS), (2, 3 + 2), (8, 3 + 1)):
        calls.clear()
        run(transformer, TaylorCache(interval=interval), guidance=1.0)
        assert len(calls) == computed
    exact = generate(transformer, guidance=1.0)
    often, seldom = (drift(run(transformer, TaylorCache(interval=n), guidance=1.0), exact) for n in (2, 5))
    assert often < seldom


def test_magnitudes_skip_by_the_ratios_alone() -> None:
    transformer = build_transformer()
    calls = count_calls(transformer.blocks[1].attn1)

    def forwards(cache: StepCache, **options: object) -> int:
        calls.clear()
        run(transformer, cache, **options)
        return len(calls)

    flat = MagnitudeCache(ratios=(1.0,) * STEPS, retention=0.25)
    assert forwards(flat, guidance=1.0) == 2 + 1  # two kept, three skipped, one, two skipped
    assert forwards(replace(flat, max_skip=0), guidance=1.0) == STEPS
    assert forwards(replace(flat, retention=1.0), guidance=1.0) == STEPS
    assert forwards(replace(flat, ratios=(1.0, 1.0)), guidance=1.0) == 3
    assert forwards(replace(flat, ratios=(1.0, *[2.0] * 7)), guidance=1.0) == STEPS


def test_a_branch_that_joins_late_takes_the_ratios_of_its_step() -> None:
    """In one batch the positive branch runs alone only after the last guided step."""
    transformer = build_transformer()
    calls = count_calls(transformer.blocks[1].attn1)
    late = MagnitudeCache(ratios=(*[2.0] * (STEPS // 2), *[1.0] * (STEPS // 2)), retention=0.0)
    run(transformer, late, mode="batch", guidance_skip=0.5)
    assert calls == [2] * (STEPS // 2) + [1]


def test_calibrated_magnitudes_are_those_of_the_residuals() -> None:
    transformer = build_transformer()
    plain = generate(transformer)
    residuals: dict[int, list[Tensor]] = {0: [], 1: []}
    entered: list[Tensor] = []

    def leave(_module: torch.nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        branch = len(residuals[0]) - len(residuals[1])
        residuals[branch].append(output - entered.pop())

    hooks = [
        transformer.blocks[0].register_forward_pre_hook(lambda _module, inputs: entered.append(inputs[0])),
        transformer.blocks[-1].register_forward_hook(leave),
    ]
    generate(transformer)
    for hook in hooks:
        hook.remove()
    expected = [1.0]
    for step in range(1, STEPS):
        pairs = [(residuals[b][step].norm(dim=-1), residuals[b][step - 1].norm(dim=-1)) for b in (0, 1)]
        expected.append(sum(float((now / before).mean()) for now, before in pairs) / 2)
    ratios = calibrate_magnitudes(transformer, lambda: generate(transformer), STEPS)
    assert ratios == pytest.approx(expected, rel=1e-4)
    assert torch.equal(generate(transformer), plain)
    cached = run(transformer, MagnitudeCache(ratios=ratios, threshold=0.3))
    assert 0 < drift(cached, plain) < 0.1


def test_calibration_prints_nothing_and_wants_whole_runs(capsys: pytest.CaptureFixture[str]) -> None:
    transformer = build_transformer()
    calibrate_magnitudes(transformer, lambda: generate(transformer), STEPS)
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match=r"of 9 steps, got \{'positive': 8, 'negative': 8\}"):
        calibrate_magnitudes(transformer, lambda: generate(transformer), STEPS + 1)
    with pytest.raises(ValueError, match="without guidance_skip"):
        calibrate_magnitudes(transformer, lambda: generate(transformer, mode="batch", guidance_skip=0.5), STEPS)
    assert not transformer.is_cache_enabled


@pytest.mark.parametrize("name", STEP_CACHES)
def test_step_caches_work_on_offloaded_blocks(name: str) -> None:
    expected = run(build_transformer(), ON[name])
    transformer = build_transformer()
    cpu = torch.device("cpu")
    apply_group_offloading(
        transformer, onload_device=cpu, offload_device=cpu, offload_type="block_level", num_blocks_per_group=1
    )
    assert torch.equal(run(transformer, ON[name]), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FirstBlockCache(threshold=-0.1), "threshold of at least 0"),
        (lambda: MagnitudeCache(), "calibrate_magnitudes"),
        (lambda: MagnitudeCache(ratios=(1.0, -1.0)), "positive magnitude ratios"),
        (lambda: MagnitudeCache(ratios=RATIOS, retention=2.0), "retention in"),
        (lambda: TaylorCache(interval=0), "interval >= 1"),
        (lambda: Acceleration(attention="fast"), "expected one of native"),
        (lambda: Acceleration(guidance_skip=2.0), "share of the steps"),
    ],
)
def test_wrong_settings_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_first_block_cache_needs_a_second_block() -> None:
    transformer = build_transformer(replace(CONFIG, num_layers=1))
    with pytest.raises(ValueError, match="at least two blocks"), step_cached(transformer, FirstBlockCache(), STEPS):
        raise AssertionError
    assert drift(run(transformer, ON["taylorseer"]), generate(transformer)) < 0.1


# attention ----------------------------------------------------------------------------------------------------------


def test_every_attention_backend_is_one_of_diffusers() -> None:
    assert ATTENTION_BACKENDS.keys() <= {backend.value for backend in AttentionBackendName}


@attention_backend("native")
def test_attention_backends_end_with_the_run() -> None:
    math = "aten::_scaled_dot_product_attention_math"
    transformer = build_transformer()
    plain = generate(transformer)
    with torch.profiler.profile() as profile, accelerated(transformer, Acceleration(attention="_native_math"), STEPS):
        chosen = generate(transformer, steps=2)
    assert math in {event.key for event in profile.key_averages()}
    torch.testing.assert_close(chosen, generate(transformer, steps=2), atol=1e-4, rtol=1e-4)
    with torch.profiler.profile() as profile:
        generate(transformer, steps=2)
    assert math not in {event.key for event in profile.key_averages()}
    assert torch.equal(generate(transformer), plain)


@attention_backend("native")
def test_a_backend_set_by_hand_comes_back() -> None:
    transformer = build_transformer()
    transformer.set_attention_backend("native")
    with accelerated(transformer, Acceleration(attention="_native_math"), STEPS):
        assert transformer.blocks[0].attn1.processor._attention_backend is None
    assert transformer.blocks[0].attn1.processor._attention_backend == "native"


@pytest.mark.parametrize("name", sorted(name for name, needs in ATTENTION_BACKENDS.items() if needs.gpu))
def test_backends_for_gpus_say_so(name: str) -> None:
    transformer = build_transformer()
    with (
        pytest.raises(ValueError, match="needs a CUDA device"),
        accelerated(transformer, Acceleration(attention=name), STEPS),
    ):
        raise AssertionError


# compilation --------------------------------------------------------------------------------------------------------


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Shape checks off: the compiler cannot look into them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    torch._dynamo.reset()
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", [None, *STEP_CACHES])
def test_compiled_blocks_share_their_graphs_and_end_with_the_run(name: str | None) -> None:
    transformer = build_transformer()
    cache = None if name is None else ON[name]
    with step_cached(transformer, cache, STEPS):
        expected = generate(transformer)
    graphs: list[int] = []

    def count(graph: torch.fx.GraphModule, _inputs: object) -> torch.fx.GraphModule:
        def call(*values: object) -> object:
            graphs[-1] += 1
            return graph(*values)

        graphs.append(0)
        return call

    for _ in range(2):
        with compiled_blocks(transformer, count), step_cached(transformer, cache, STEPS):
            torch.testing.assert_close(generate(transformer), expected, atol=1e-4, rtol=1e-4)
    assert len(graphs) == 2  # one that makes keys and values, one that reuses them
    assert sum(graphs) > 2 * STEPS
    with compiled_blocks(transformer, count):
        pass
    assert all(name or "forward" not in vars(block) for block in transformer.blocks)
    counted = list(graphs)
    with step_cached(transformer, cache, STEPS):
        assert torch.equal(generate(transformer), expected)
    assert graphs == counted


@pytest.mark.skipif("GEN3R_COMPILE_TESTS" not in os.environ, reason="compiles for long; set GEN3R_COMPILE_TESTS=1")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_compiled_code_gives_the_plain_result() -> None:
    transformer = build_transformer()
    expected = generate(transformer)
    with accelerated(transformer, Acceleration(compile=True), STEPS):
        torch.testing.assert_close(generate(transformer), expected, atol=1e-4, rtol=1e-4)
