"""Conditions that are slightly wrong, drawn in the course of training; see `ConditionNoise`.

Whether and how a sample goes wrong is a function of its own stream, and drawn from one that was split off it: all else
that is drawn of a sample stays what it is without noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.eval.robustness.perturbations.base import Perturbation
from gen3r.eval.robustness.perturbations.registry import CAMERA_PERTURBATIONS, VIEW_PERTURBATIONS
from gen3r.presets.condition_noise import ConditionNoise
from gen3r.train.rng import generator, integer, uniform

P = TypeVar("P", bound=Perturbation)


def wrong_cameras(cameras: Cameras, noise: ConditionNoise, rng: torch.Generator) -> Cameras:
    """Cameras ``[n, F]`` of which some clips' are wrong; the very same where none are to be.

    Args:
        cameras: of n clips, relative to each one's first frame or not, in any unit.
        noise: how often and how far.
        rng: the stream of these samples; nothing is taken from it.
    """
    if not noise.cameras:
        return cameras
    rng = _split_off(rng, "cameras")
    return Cameras.stack([_wrong(clip, noise, rng) for clip in map(cameras.__getitem__, range(len(cameras)))])


def spoiled_views(
    video: Float[Tensor, "n F 3 H W"], noise: ConditionNoise, rng: torch.Generator
) -> Float[Tensor, "n F 3 H W"]:
    """Videos of which some are spoiled, each as a whole; the very same where none are to be.

    Args:
        video: n clips, sRGB in [0, 1]; only the given frames of the result will be looked at.
        noise: how often and how far.
        rng: the stream of these samples; nothing is taken from it.
    """
    if not noise.views:
        return video
    rng = _split_off(rng, "views")
    return torch.stack([spoil(clip, noise, rng) if uniform(rng) < noise.views else clip for clip in video])


def spoil(pictures: Float[Tensor, "F 3 H W"], noise: ConditionNoise, rng: torch.Generator) -> Tensor:
    """These pictures with one thing wrong, drawn from ``rng``."""
    perturbation, strength = _drawn(VIEW_PERTURBATIONS, noise.view_strengths, rng)
    return perturbation(pictures, strength, rng)


def _wrong(cameras: Cameras, noise: ConditionNoise, rng: torch.Generator) -> Cameras:
    if uniform(rng) >= noise.cameras:
        return cameras
    perturbation, strength = _drawn(CAMERA_PERTURBATIONS, noise.camera_strengths, rng)
    return perturbation(cameras, strength, rng)


def _drawn(known: Mapping[str, P], strengths: Sequence[tuple[str, float]], rng: torch.Generator) -> tuple[P, float]:
    """One of the perturbations, and a strength up to its largest.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    name, largest = strengths[integer(rng, 0, len(strengths))]
    if name not in known:
        raise ValueError(f"unknown perturbation {name!r}; choose among {', '.join(known)}.")
    return known[name], known[name].between(uniform(rng), largest)


def _split_off(rng: torch.Generator, name: str) -> torch.Generator:
    return generator("condition noise", name, rng.initial_seed())
