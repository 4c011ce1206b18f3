"""Mixtures: frequencies follow weights, and every position stands for itself."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen3r.data.mixture import DEFAULT_WEIGHTS, Mixture, default_weight, read_mixture

DRAWS = 20_000


def within(count: int, share: float) -> bool:
    """Five standard deviations of a binomial."""
    return abs(count - DRAWS * share) < 5 * (DRAWS * share * (1 - share)) ** 0.5


def test_datasets_are_drawn_by_weight_and_clips_alike() -> None:
    sizes, weights = (3, 40, 7, 1), (1.0, 0.25, 0.5, 1.0)
    mixture = Mixture(sizes, weights, seed=1)
    drawn = [mixture.draw(position) for position in range(DRAWS)]
    datasets = Counter(dataset for dataset, _ in drawn)
    clips = Counter(drawn)
    for number, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
        share = weight / sum(weights)
        assert within(datasets[number], share)
        assert all(within(clips[number, clip], share / size) for clip in range(size))


def test_neighbouring_positions_and_seeds_decide_independently() -> None:
    mixture, other = Mixture((2, 2), (1.0, 1.0), seed=3), Mixture((2, 2), (1.0, 1.0), seed=4)
    pairs = Counter((mixture.draw(place)[0], mixture.draw(place + 1)[0]) for place in range(0, 2 * DRAWS, 2))
    assert all(within(count, 0.25) for count in pairs.values())
    seeds = Counter((mixture.draw(place)[0], other.draw(place)[0]) for place in range(DRAWS))
    assert all(within(count, 0.25) for count in seeds.values())


@given(position=st.integers(0, 10**12), seed=st.integers(0, 2**62))
def test_a_draw_is_a_function_of_seed_and_position(position: int, seed: int) -> None:
    drawn = Mixture((5, 3), (1.0, 2.0), seed).draw(position)
    assert drawn == Mixture((5, 3), (2.0, 4.0), seed).draw(position)  # weights are relative
    assert drawn[1] < (5, 3)[drawn[0]]


def test_weights_of_known_sources() -> None:
    official = ("dl3dv", "re10k", "acid", "kitti360", "mvimgnet", "vkitti", "waymo", "wildrgbd", "co3d", "tartanair")
    assert sum(DEFAULT_WEIGHTS[name] for name in official) == 7.75
    assert default_weight("Waymo") == 0.5
    assert default_weight("my garden") == 1.0


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_mixture_files_are_read(tmp_path: Path, suffix: str) -> None:
    texts = {
        ".json": json.dumps({"datasets": [{"path": "acid"}, {"path": "/data/own", "weight": 2}]}),
        ".toml": '[[datasets]]\npath = "acid"\n\n[[datasets]]\npath = "/data/own"\nweight = 2.0\n',
    }
    file = tmp_path / f"mixture{suffix}"
    file.write_text(texts[suffix])
    entries = read_mixture(file)
    assert [entry.path for entry in entries] == [tmp_path / "acid", Path("/data/own")]
    assert [entry.weight for entry in entries] == [None, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no readable mixture file"),
        ("[]", "list of datasets"),
        ('{"datasets": []}', "list of datasets"),
        ('{"datasets": [{"path": "a", "wieght": 1}]}', "path and, if wanted, weight"),
        ('{"datasets": [{"path": "a", "weight": true}]}', "a number as the weight of a"),
        ('{"datasets": [{"path": "a", "weight": 0}]}', "weight above 0"),
    ],
)
def test_unusable_mixture_files_say_why(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mixture.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_mixture(file)


def test_impossible_mixtures_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one dataset"):
        Mixture((), (), 0)
    with pytest.raises(ValueError, match="dataset 1 of the mixture is empty"):
        Mixture((1, 0), (1.0, 1.0), 0)
    with pytest.raises(ValueError, match="weight above 0 for dataset 0"):
        Mixture((1,), (float("nan"),), 0)
