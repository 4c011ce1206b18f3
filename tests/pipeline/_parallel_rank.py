"""One of the processes that denoise together: ``KIND``, under torchrun. Fails if the result is not that of one."""

import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, distributed

from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.acceleration import Acceleration, accelerated, compiled_blocks
from gen3r.pipeline.denoise import Sampling, denoise
from gen3r.pipeline.parallel import Parallel, setup_parallel
from gen3r.pipeline.step_cache import FirstBlockCache, MagnitudeCache, StepCache, TaylorCache
from pipeline.denoising import CONFIG, STEPS, build_inputs, build_transformer, count_calls

EVEN, ODD = (2, 4, 8), (3, 2, 4)
"""Sizes of 16 and of 6 tokens; 6 are not divided by 4 processes."""


@torch.no_grad()
def generate(
    transformer: JointTransformer, parallel: Parallel | None, size: tuple[int, int, int], **options: object
) -> Tensor:
    fields = {name: options.pop(name) for name in ("guidance", "guidance_skip") if name in options}
    noise, condition, negative = build_inputs(size=size)
    if parallel is not None and not parallel.leader:  # what only the first process knows
        noise, negative = torch.zeros_like(noise), torch.zeros_like(negative)
        condition = replace(condition, control=condition.control * 0, text=condition.text + 1)
    sampling = Sampling(**({"steps": STEPS, "guidance": 3.0} | fields))
    return denoise(transformer, noise, condition, negative, sampling, parallel=parallel, **options)


def check_results(parallel: Parallel) -> None:
    cases: list[tuple[int, tuple[int, int, int], StepCache | None, dict[str, object]]] = [
        (2, EVEN, None, {}),
        (2, ODD, None, {"guidance_skip": 0.5}),
        (3, EVEN, None, {"guidance": 1.0}),
        (2, ODD, TaylorCache(), {}),
        (2, EVEN, MagnitudeCache(ratios=(1.0,) * STEPS), {"guidance_skip": 0.5}),
    ]
    if parallel.mesh["ulysses"].size() == 1:
        cases.append((2, EVEN, FirstBlockCache(threshold=0.2), {}))
    if parallel.mesh["guidance"].size() == 1:
        cases.append((2, ODD, None, {"mode": "batch", "guidance_skip": 0.5}))
    for heads, size, cache, options in cases[: 12 // distributed.get_world_size()]:
        transformer = build_transformer(replace(CONFIG, num_attention_heads=heads))
        with accelerated(transformer, Acceleration(cache=cache), STEPS):
            together = generate(transformer, parallel, size, **options)
        with accelerated(transformer, Acceleration(cache=cache), STEPS):
            alone = generate(transformer, None, size, **options)
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
        first = together.clone()
        distributed.broadcast(first, src=0)
        if not torch.equal(together, first):
            raise AssertionError("processes end with different latents.")


def check_shares(parallel: Parallel) -> None:
    """Each process does its part of the work, and the whole of it again afterwards."""
    transformer = build_transformer()
    branches, sharers = parallel.mesh["guidance"].size(), parallel.mesh["ulysses"].size()
    tokens: list[int] = []
    transformer.blocks[-1].register_forward_hook(lambda _module, _inputs, output: tokens.append(output.shape[1]))
    forwards = count_calls(transformer)
    generate(transformer, parallel, EVEN)
    expected = [EVEN[0] * EVEN[1] * EVEN[2] // 4 // sharers] * (STEPS * 2 // branches)
    if tokens != expected or len(forwards) != len(expected):
        raise AssertionError(f"expected {expected} tokens in each forward, got {tokens}.")
    tokens.clear()
    generate(transformer, None, EVEN)
    if tokens != [16] * 2 * STEPS:
        raise AssertionError(f"expected whole forwards after a shared run, got {tokens}.")


def check_compiled(parallel: Parallel) -> None:
    """Blocks may be compiled, with even and uneven shares; not by the real compiler, which takes long."""
    for heads in (2, 3):
        transformer = build_transformer(replace(CONFIG, num_attention_heads=heads))
        alone = generate(transformer, None, EVEN)
        graphs: list[torch.fx.GraphModule] = []

        def keep(graph: torch.fx.GraphModule, _inputs: object, graphs: list = graphs) -> torch.fx.GraphModule:
            graphs.append(graph)
            return graph

        with compiled_blocks(transformer, keep):
            together = generate(transformer, parallel, EVEN)
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
        if not graphs:
            raise AssertionError("nothing was compiled.")


def check_refusals(parallel: Parallel) -> None:
    transformer = build_transformer()
    if parallel.mesh["ulysses"].size() == 1:
        return
    with (
        accelerated(transformer, Acceleration(cache=FirstBlockCache()), STEPS),
        pytest.raises(ValueError, match="would disagree"),
    ):
        generate(transformer, parallel, EVEN)
    with (
        accelerated(transformer, Acceleration(attention="_native_math"), STEPS),
        pytest.raises(ValueError, match="cannot share tokens; use one of"),
    ):
        generate(transformer, parallel, EVEN)
    with (
        pytest.raises(ValueError, match="use fewer processes"),
        parallel.sharing(transformer, torch.empty(1, 16, 1, 2, 2)),
    ):
        raise AssertionError


def main(kind: str) -> None:
    torch.set_num_threads(1)
    parallel = setup_parallel(kind)
    check_shares(parallel)
    check_results(parallel)
    if distributed.get_world_size() == 2:
        check_compiled(parallel)
    check_refusals(parallel)
    parallel.close()
    if distributed.is_initialized():
        raise AssertionError("the process group should have ended.")


if __name__ == "__main__":
    main(sys.argv[1])
