"""Verdicts follow from the numbers alone."""

import pytest
import torch

from gen3r.eval.ablations.scoring import COLUMNS
from gen3r.eval.ablations.variants import GROUPS, Claim
from gen3r.eval.ablations.verdicts import Verdict, judge, sentence

GROUP = GROUPS["resolution"]


def runs(*levels: float, clips: int = 40, spread: float = 0.1) -> list[dict[str, float]]:
    """One run per level: numbers of the same clips around it, hard clips hard in all."""
    hardness = torch.randn(clips, generator=torch.Generator().manual_seed(0)) * spread
    return [{str(clip): level + float(hardness[clip]) for clip in range(clips)} for level in levels]


def verdict(better: list[dict[str, float]], worse: list[dict[str, float]], quantity: str = "one_absrel") -> Verdict:
    return judge(Claim(better="full", worse="half", quantity=quantity, source="ours"), better, worse)


@pytest.mark.parametrize("quantity", COLUMNS)
def test_swapping_the_two_turns_the_verdict_around(quantity: str) -> None:
    opposite = {"supported": "contradicted", "contradicted": "supported"}
    one, other = runs(1.0, 1.1), runs(2.0, 2.1)
    forward, backward = verdict(one, other, quantity), verdict(other, one, quantity)
    expected = "contradicted" if COLUMNS[quantity].higher_is_better else "supported"
    assert (forward.word, backward.word) == (expected, opposite[expected])
    assert forward.advantage is not None
    assert backward.advantage is not None
    assert forward.advantage.mean == pytest.approx(-backward.advantage.mean)


def test_seeds_that_overlap_decide_nothing() -> None:
    found = verdict(runs(1.0, 1.5), runs(1.4, 2.0))
    assert found.advantage is not None
    assert found.advantage.low > 0  # the clips alone would decide it
    assert found.word == "undecided"
    assert "overlap" in sentence(found, GROUP)


def test_an_interval_with_0_decides_nothing() -> None:
    noise = torch.randn(30, generator=torch.Generator().manual_seed(1)).tolist()
    noise = [value - sum(noise) / len(noise) for value in noise]
    one = [{str(clip): 1.0 + value for clip, value in enumerate(noise)}] * 2
    other = [dict.fromkeys(map(str, range(30)), 1.001)] * 2
    found = verdict(one, other)
    assert found.word == "undecided"
    assert "holds 0" in sentence(found, GROUP)


def test_one_run_each_is_not_enough() -> None:
    found = verdict(runs(1.0), runs(2.0, 2.1))
    assert (found.word, found.seeds) == ("open", (1, 2))
    assert "1 and 2 runs" in sentence(found, GROUP)
    assert verdict([], runs(2.0, 2.1)).advantage is None


def test_every_claim_is_about_what_is_measured() -> None:
    for group in GROUPS.values():
        names = [variant.name for variant in group.variants]
        assert len(set(names)) == len(names)
        for claim in group.claims:
            assert {claim.better, claim.worse} <= set(names)
            assert claim.better != claim.worse
            assert claim.quantity in COLUMNS
