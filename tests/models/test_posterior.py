import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.models.posterior import Posterior


def posterior(seed: int, spread: float = 1.0) -> Posterior:
    values = torch.randn(2, 4, 3, 2, 2, 2, generator=torch.Generator().manual_seed(seed)) * spread
    return Posterior(mean=values[0], logvar=values[1])


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_kl_is_positive_and_zero_to_itself(a: int, b: int) -> None:
    assert (posterior(a).kl(posterior(b)) >= -1e-5).all()
    assert posterior(a).kl(posterior(a)).abs().max() < 1e-6


def test_kl_is_that_of_torch_distributions() -> None:
    a, b = posterior(0), posterior(1)
    normal = torch.distributions.Normal
    p, q = (normal(one.mean, torch.exp(0.5 * one.logvar)) for one in (a, b))
    torch.testing.assert_close(a.kl(b), torch.distributions.kl_divergence(p, q))
    standard = normal(torch.zeros(()), torch.ones(()))
    torch.testing.assert_close(a.kl(), torch.distributions.kl_divergence(p, standard))


def test_samples_follow_the_moments() -> None:
    mean, logvar = torch.tensor([2.0, -1.0]), torch.tensor([0.0, 2.0])
    many = Posterior(mean=mean.expand(20000, 2), logvar=logvar.expand(20000, 2))
    samples = many.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(samples.mean(0), mean, atol=0.06, rtol=0)
    torch.testing.assert_close(samples.std(0), torch.exp(0.5 * logvar), atol=0.06, rtol=0)


def test_a_generator_per_item_makes_samples_independent_of_the_batch() -> None:
    whole = posterior(0)
    batched = whole.sample([torch.Generator().manual_seed(seed) for seed in range(4)])
    for seed in range(4):
        single = Posterior(mean=whole.mean[seed : seed + 1], logvar=whole.logvar[seed : seed + 1])
        assert torch.equal(single.sample([torch.Generator().manual_seed(seed)]), batched[seed : seed + 1])
    with pytest.raises(ValueError, match="one generator per batch item"):
        whole.sample([torch.Generator()])


def test_extreme_log_variances_are_clamped() -> None:
    extreme = Posterior(mean=torch.zeros(2), logvar=torch.tensor([-100.0, 100.0]))
    assert extreme.logvar.tolist() == [-30.0, 20.0]
    assert extreme.kl().isfinite().all()
