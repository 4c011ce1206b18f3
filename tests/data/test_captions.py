"""Words for clips: prefixes, labels, mirrored sides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.data.captions import MAX_CHARACTERS, captions_from_labels, clean_prefix, one_line_each


def words(caption: str, count: int = 4000, **settings: float) -> dict[str, float]:
    """Share of every outcome."""
    rng = torch.Generator().manual_seed(0)
    outcomes = [clean_prefix(caption, rng, **settings) for _ in range(count)]
    return {outcome: outcomes.count(outcome) / count for outcome in set(outcomes)}


@pytest.mark.parametrize(
    ("caption", "bare", "long"),
    [
        ("The image shows a red house.", "A red house.", "It is a red house."),
        ("This video features an old bridge", "An old bridge", "It is an old bridge"),
        ("the scene depicts a street, with a tree", "A street, with a tree", "It is a street, with a tree"),
        ("In this picture, there is a lamp", "A lamp", "It is a lamp"),
    ],
)
def test_prefixes_are_reworded_as_often_as_officially(caption: str, bare: str, long: str) -> None:
    shares = words(caption)
    assert set(shares) == {caption, bare, long}
    assert shares[caption] == pytest.approx(0.2, abs=0.03)
    assert shares[bare] == pytest.approx(0.6, abs=0.03)
    assert shares[long] == pytest.approx(0.2, abs=0.03)
    assert set(words(caption, 20, rate=1.0, bare=1.0)) == {bare}
    assert set(words(caption, 20, rate=0.0)) == {caption}


@pytest.mark.parametrize(
    "caption", ["A house shows a door.", "The images of a house", "The image shows", "The image shows houses", ""]
)
def test_other_captions_stay(caption: str) -> None:
    assert set(words(caption, 50)) == {caption}


@given(st.text(max_size=40), st.integers(0, 1000))
def test_the_stream_does_not_depend_on_the_words(caption: str, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    clean_prefix(caption, rng)
    expected = torch.Generator().manual_seed(seed)
    torch.rand(2, generator=expected)
    assert torch.equal(rng.get_state(), expected.get_state())


def test_long_captions_become_empty() -> None:
    assert set(words("a" * (MAX_CHARACTERS + 1), 5)) == {""}
    assert set(words("a" * MAX_CHARACTERS, 5)) == {"a" * MAX_CHARACTERS}


@pytest.mark.parametrize(
    ("labels", "first"),
    [
        ({"category": "street", "weather": "foggy", "place": "Karlsruhe"}, "A street in Karlsruhe in foggy weather."),
        ({"category": "apple"}, "An apple."),
        ({"environment": "abandoned_factory", "time of day": "night"}, "An abandoned factory at night."),
        ({"scene": "a home"}, "A home."),
        ({"weather": "sunny", "time of day": "daytime"}, "A place in sunny weather in the daytime."),
    ],
)
def test_labels_become_sentences(labels: dict[str, str], first: str) -> None:
    captions = captions_from_labels(labels)
    assert captions[0] == first
    assert len(captions) == 2
    assert all(caption.endswith(".") and caption[0].isupper() for caption in captions)


@pytest.mark.parametrize("labels", [{}, {"category": " "}, {"weather": "unknown"}, {"model": "gen3r", "revision": "1"}])
def test_nothing_known_says_nothing(labels: dict[str, str]) -> None:
    assert captions_from_labels(labels) == ()


def test_captions_become_lines() -> None:
    assert one_line_each(["a\nb", "a b", " c "]) == ("a b", "c")
