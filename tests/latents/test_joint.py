"""The two halves: taking apart undoes putting together."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.latents.joint import JointLatent, both, kept, left_only, pair, split


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_split_undoes_pair(shape: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    appearance, geometry = (torch.randn(shape, generator=generator) for _ in range(2))
    joint = pair(appearance, geometry)
    assert joint.shape == (*shape[:-1], 2 * shape[-1])
    assert all(torch.equal(a, b) for a, b in zip(split(joint), (appearance, geometry), strict=True))
    known, unknown = split(left_only(appearance))
    assert torch.equal(known, appearance)
    assert not unknown.any()
    assert all(torch.equal(half, appearance) for half in split(both(appearance)))


def test_joint_latent_round_trip() -> None:
    latent = JointLatent(torch.randn(2, 16, 3, 4, 4), torch.randn(2, 16, 3, 4, 4))
    assert latent.tensor.shape == (2, 16, 3, 4, 8)
    back = JointLatent.from_tensor(latent.tensor)
    assert torch.equal(back.appearance, latent.appearance)
    assert back.geometry is not None
    assert latent.geometry is not None
    assert torch.equal(back.geometry, latent.geometry)


def test_appearance_alone_is_a_joint_latent_of_one_half() -> None:
    latent = JointLatent(torch.randn(2, 16, 3, 4, 4), None)
    back = JointLatent.from_tensor(latent.tensor, halves=1)
    assert torch.equal(back.appearance, latent.appearance)
    assert back.geometry is None
    appearance = torch.arange(4.0)
    assert torch.equal(kept(both(appearance), 1), appearance)
    assert torch.equal(kept(both(appearance), 2), both(appearance))


def test_mismatched_halves_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        JointLatent(torch.zeros(1, 16, 3, 4, 4), torch.zeros(1, 16, 3, 4, 5))
    with pytest.raises(ValueError, match="even width"):
        split(torch.zeros(1, 3))
