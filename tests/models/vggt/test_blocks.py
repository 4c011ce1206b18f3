"""Attention gives the same whichever way its kernel is asked."""

import pytest
import torch
from torch import Tensor

from gen3r.models.vggt.blocks import attend


def heads() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 11, 8, generator=generator) for _ in range(3))
    return q, k, v


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_on_a_cpu_attends_like_inference_in_the_type_that_came(dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in heads())
    trained = attend(q.requires_grad_(), k, v)
    with torch.no_grad():
        inferred = attend(q, k, v)
    assert trained.dtype == inferred.dtype == dtype
    torch.testing.assert_close(trained.detach(), inferred, atol=2e-2 if dtype == torch.bfloat16 else 1e-6, rtol=0)


def test_gradients_in_bfloat16_are_those_of_float32_rounded_once() -> None:
    exact, rounded = heads()[0].requires_grad_(), heads()[0].bfloat16().requires_grad_()
    _, k, v = heads()
    attend(exact, k, v).square().sum().backward()
    attend(rounded, k.bfloat16(), v.bfloat16()).square().sum().backward()
    assert exact.grad is not None
    assert rounded.grad is not None
    assert (exact.grad - rounded.grad.float()).norm() < 0.02 * exact.grad.norm()
