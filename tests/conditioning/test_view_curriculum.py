"""The course of given views over a run."""

import pytest
import torch

from gen3r.conditioning.views import ViewCurriculum, ViewSampler

MIXTURE = ViewSampler(first=0.4, ends=0.25, everything=0.1, anything=0.2, nothing=0.05)


def given(sampler: ViewSampler) -> float:
    """Mean share of frames that are given."""
    return float(sampler.sample(2000, 9, torch.Generator().manual_seed(0)).float().mean())


def weights(sampler: ViewSampler) -> list[float]:
    return [sampler.first, sampler.ends, sampler.everything, sampler.anything, sampler.nothing]


def test_it_starts_with_its_own_mixture_and_ends_with_the_usual_one() -> None:
    curriculum = ViewCurriculum()
    assert weights(curriculum.at(0.0, MIXTURE)) == pytest.approx([0.0, 0.5, 0.5, 0.0, 0.0])
    for progress in (0.5, 0.7, 1.0):
        assert weights(curriculum.at(progress, MIXTURE)) == pytest.approx(weights(MIXTURE))
    shares = [given(curriculum.at(progress, MIXTURE)) for progress in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    assert shares == sorted(shares, reverse=True)


def test_mixtures_need_not_sum_to_one() -> None:
    doubled = ViewSampler(first=0.8, ends=0.5, everything=0.2, anything=0.4, nothing=0.1)
    for share in (0.0, 0.3, 1.0):
        mixed = doubled.mixed(ViewSampler(), share)
        assert sum(weights(mixed)) == pytest.approx(1.0)
        assert weights(mixed) == pytest.approx(
            weights(MIXTURE.mixed(ViewSampler(first=5.0, ends=5.0, everything=5.0), share))
        )


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share of the steps"):
        ViewCurriculum(share=share)
