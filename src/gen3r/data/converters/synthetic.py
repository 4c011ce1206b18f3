"""Synthetic clips in packed files, as ``gen3r synth --pack`` writes them, with exact metric depth and cameras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open

from gen3r.data.clip import split_of
from gen3r.data.converting.raw import (
    ConvertOptions,
    Findings,
    Found,
    Problem,
    RawCamera,
    RawFrame,
    RawScene,
    UnusableScene,
)
from gen3r.data.schema.pictures import encode_picture
from gen3r.data.synthetic.writer import LICENCE

_KEYS = {"rgb", "depth", "extrinsics", "intrinsics", "seeds"}


class Synthetic:
    """Reads packed files of generated clips."""

    name = "synthetic"
    licence = LICENCE

    def find(self, source: Path, options: ConvertOptions) -> Findings:
        """One scene per clip, with the split of its seed. ``source`` is a packed file, or a folder of them.

        Raises:
            ValueError: if there are none.
        """
        files = [source] if source.is_file() else sorted(source.glob("*.safetensors"))
        if not files:
            raise ValueError(f"{source} holds no packed clips (*.safetensors); gen3r synth --pack writes them.")
        scenes: list[Found] = []
        problems: list[Problem] = []
        for file in files:
            try:
                with _opened(file) as pack:
                    seeds = pack.get_tensor("seeds").tolist()
                    _, frames, height, width, _ = pack.get_slice("rgb").get_shape()
            except UnusableScene as error:
                problems.append(Problem(place=file.name, reason=str(error)))
                continue
            scenes += [
                Found(
                    name=f"{seed:09d}",
                    place=f"{file.name}#{index}",
                    split=split_of(seed),
                    frames=frames,
                    size=frames * height * width,
                )
                for index, seed in enumerate(seeds)
            ]
        return Findings(scenes=tuple(scenes), problems=tuple(problems))

    def read(self, source: Path, found: Found, options: ConvertOptions) -> RawScene:
        """Describe one clip.

        Raises:
            UnusableScene: for a damaged file.
        """
        name, _, number = found.place.rpartition("#")
        file, index = (source if source.is_file() else source / name), int(number)
        with _opened(file) as pack:
            poses = np.linalg.inv(pack.get_slice("extrinsics")[index].astype(np.float64))
            intrinsics = pack.get_slice("intrinsics")[index].astype(np.float64)
            _, frames, height, width, _ = pack.get_slice("rgb").get_shape()
            captions = json.loads((pack.metadata() or {}).get("captions", "[]"))
        return RawScene(
            name=found.name,
            split=found.split,
            scale_kind="metric",
            frames=tuple(
                RawFrame(
                    picture=partial(_picture, file, index, frame),
                    camera=RawCamera(
                        intrinsics=intrinsics[frame], world_from_camera=poses[frame], height=height, width=width
                    ),
                    depth=partial(_depth, file, index, frame),
                )
                for frame in range(frames)
            ),
            captions=tuple(captions[index : index + 1]),
            caption_kind="given",
        )


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safe_open(file, "np") as pack:
            missing = _KEYS - set(pack.keys())
            if missing:
                raise UnusableScene(f"{file.name} is no pack of clips: it lacks {', '.join(sorted(missing))}.")
            yield pack
    except (OSError, SafetensorError) as error:
        raise UnusableScene(f"{file.name} cannot be read ({error}).") from error


def _picture(file: Path, index: int, frame: int) -> bytes:
    with _opened(file) as pack:
        return encode_picture(pack.get_slice("rgb")[index, frame])


def _depth(file: Path, index: int, frame: int) -> Float32[np.ndarray, "H W"]:
    with _opened(file) as pack:
        return pack.get_slice("depth")[index, frame].astype(np.float32)


CONVERTER = Synthetic()
