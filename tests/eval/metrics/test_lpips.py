"""LPIPS is measured where its package and weights are, and reported absent elsewhere."""

from pathlib import Path

import pytest
import torch

from gen3r.eval.metrics.lpips import LPIPS, lpips_absence, lpips_or_none


def test_it_is_a_distance_or_absent() -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    absence = lpips_absence()
    if absence is not None:
        assert "LPIPS is absent: needs" in str(absence)
        assert absence.remedy in str(absence)
        assert lpips_or_none(images, images) is None
        return
    same, other = lpips_or_none(images, images), lpips_or_none(images.flip(0), images)
    assert same is not None
    assert other is not None
    assert same.abs().max() < 1e-5 < other.min()


def test_without_weights_it_is_absent_and_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    absence = lpips_absence("vgg")
    assert absence is not None
    assert not LPIPS.missing or absence.remedy == "pip install 'gen3r[eval]'"
    assert lpips_or_none(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), "vgg") is None
    assert not list(tmp_path.iterdir())


def test_broken_images_are_failures() -> None:
    with pytest.raises(ValueError, match="not finite"):
        lpips_or_none(torch.full((1, 3, 64, 64), torch.nan), torch.rand(1, 3, 64, 64))
