"""Splat files, read by plyfile and gsply and by a decoder written from the description of the format."""

import dataclasses
import gzip
import struct

import numpy as np
import plyfile
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("gsply", reason="gsply is missing; pip install 'gen3r[exports]'")

import gsply

from gen3r.cameras.pose_encoding import quaternion_from_rotation, rotation_from_quaternion
from gen3r.scene.export import gaussians_ply, spz
from gen3r.scene.export.options import ExportOptions
from gen3r.scene.export.source import ExportSource
from gen3r.scene.gaussians import Gaussians, gaussians_from_depth
from scene.rooms import room_scene
from scene.splat_renderer import psnr, render

SH_CONSTANT = 0.28209479177387814
COLUMNS = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"


@pytest.fixture(scope="module")
def source() -> ExportSource:
    return ExportSource(room_scene(3, 27, 37), options=ExportOptions(clean="none"))


def read_ply(path) -> Gaussians:
    """Decoded by the rules every viewer follows."""
    vertices = plyfile.PlyData.read(str(path))["vertex"]
    columns = {name: torch.from_numpy(np.asarray(vertices[name]).copy()) for name in COLUMNS.split()}

    def group(*names: str) -> torch.Tensor:
        return torch.stack([columns[name] for name in names], dim=-1)

    rotations = group("rot_0", "rot_1", "rot_2", "rot_3")
    return Gaussians(
        means=group("x", "y", "z"),
        scales=group("scale_0", "scale_1", "scale_2").exp(),
        rotations=torch.nn.functional.normalize(rotations, dim=-1),
        opacities=columns["opacity"].sigmoid(),
        colors=group("f_dc_0", "f_dc_1", "f_dc_2") * SH_CONSTANT + 0.5,
    )


def read_spz(path) -> tuple[Gaussians, int]:
    """Version 3, decoded from its description; axes as stored (x right, y up, z backward). Also the fractional bits."""
    data = gzip.decompress(path.read_bytes())
    magic, version, count, degree, bits, flags, reserved = struct.unpack_from("<4sIIBBBB", data)
    assert (magic, version, degree, flags, reserved) == (b"NGSP", 3, 0, 0, 0)
    assert len(data) == 16 + 20 * count
    sections = np.split(np.frombuffer(data, np.uint8, offset=16), np.cumsum([9, 1, 3, 3]) * count)
    positions, alphas, colors, scales, rotations = sections
    low, middle, high = positions.reshape(count, 3, 3).astype(np.int64).transpose(2, 0, 1)
    fixed = low + (middle << 8) + (high << 16)
    words = np.frombuffer(rotations.tobytes(), "<u4")
    quaternions = np.zeros((count, 4))
    for row, word in enumerate(words.tolist()):
        largest, rest = word >> 30, []
        for shift in (20, 10, 0):
            magnitude = (word >> shift & 511) / 511 / 2**0.5
            rest.append(-magnitude if word >> shift & 512 else magnitude)
        quaternions[row] = np.insert(rest, largest, max(0.0, 1 - sum(value**2 for value in rest)) ** 0.5)
    splats = Gaussians(
        means=torch.from_numpy(np.where(fixed >= 1 << 23, fixed - (1 << 24), fixed) / 2**bits).float(),
        scales=torch.from_numpy(scales.reshape(count, 3) / 16.0 - 10).exp().float(),
        rotations=torch.from_numpy(quaternions).roll(1, dims=-1).float(),  # stored x y z w
        opacities=torch.from_numpy(alphas / 255.0).float(),
        colors=torch.from_numpy((colors.reshape(count, 3) / 255.0 - 0.5) / 0.15 * SH_CONSTANT + 0.5).float(),
    )
    return splats, bits


def random_splats(seed: int, count: int = 50, reach: float = 10.0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    return Gaussians(
        means=(uniform(count, 3) * 2 - 1) * reach,
        scales=torch.exp(uniform(count, 3) * 10 - 8),
        rotations=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        opacities=0.02 + 0.96 * uniform(count),
        colors=uniform(count, 3),
    )


WORST_ROTATION = 0.28
"""Degrees: half a step (1 / 511 / sqrt 2 / 2) in three components near 1/2, their sum in the fourth."""


def degrees_between(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    cosine = (one.double() * other.double()).sum(-1).abs().clamp_max(1)
    return torch.rad2deg(2 * torch.acos(cosine))


def turned_about_x(splats: Gaussians) -> Gaussians:
    """Between OpenCV axes and x right, y up, z backward, in matrices.

    The splat's own axes are turned too, which changes no ellipsoid and keeps upright ones upright.
    """
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    rotations = flip @ rotation_from_quaternion(splats.rotations.roll(-1, dims=-1)) @ flip
    return dataclasses.replace(
        splats,
        means=splats.means @ flip,
        rotations=quaternion_from_rotation(rotations).roll(1, dims=-1),
    )


class TestPly:
    def test_layout_is_the_standard_one(self, source, tmp_path):
        gaussians_ply.write(source, tmp_path)
        file = plyfile.PlyData.read(str(tmp_path / "splats.ply"))
        assert (file.text, file.byte_order, [element.name for element in file.elements]) == (False, "<", ["vertex"])
        properties = file["vertex"].properties
        assert [item.name for item in properties] == COLUMNS.split()
        assert {item.val_dtype for item in properties} == {"f4"}

    def test_decoded_values_are_the_splats(self, source, tmp_path):
        gaussians_ply.write(source, tmp_path)
        splats = gaussians_from_depth(source.scene, source.keep)
        read = read_ply(tmp_path / "splats.ply")
        for field in dataclasses.fields(Gaussians):
            torch.testing.assert_close(getattr(read, field.name), getattr(splats, field.name), atol=1e-6, rtol=1e-5)

    def test_another_reader_agrees(self, source, tmp_path):
        gaussians_ply.write(source, tmp_path)
        mine, other = read_ply(tmp_path / "splats.ply"), gsply.plyread(tmp_path / "splats.ply")
        np.testing.assert_array_equal(other.means, mine.means)
        np.testing.assert_allclose(np.exp(other.scales), mine.scales, rtol=1e-5)
        np.testing.assert_allclose(other.quats, mine.rotations, atol=1e-6)
        np.testing.assert_allclose(1 / (1 + np.exp(-other.opacities)), mine.opacities, atol=1e-6)
        np.testing.assert_allclose(other.sh0 * SH_CONSTANT + 0.5, mine.colors, atol=1e-6)

    @pytest.mark.parametrize("frame", [0, 2])
    def test_the_file_shows_the_scene(self, source, tmp_path, frame):
        gaussians_ply.write(source, tmp_path)
        picture = render(read_ply(tmp_path / "splats.ply"), source.scene.cameras[frame])
        seen = source.scene.mask[frame]
        assert psnr(picture[seen], source.scene.rgb[frame][seen] / 255) > 20

    def test_the_limit_on_points_is_one_on_splats(self, source, tmp_path):
        limited = dataclasses.replace(source, options=ExportOptions(max_points=100))
        gaussians_ply.write(limited, tmp_path)
        assert len(read_ply(tmp_path / "splats.ply")) == 100


class TestSpz:
    @settings(max_examples=10)
    @given(seed=st.integers(0, 2**31), reach=st.sampled_from([0.5, 30.0, 2000.0]))
    def test_splats_come_back_within_the_quantisation(self, tmp_path_factory, seed, reach):
        splats = random_splats(seed, reach=reach)
        path = tmp_path_factory.mktemp("spz") / "splats.spz"
        spz.write_splats(path, splats)
        stored, bits = read_spz(path)
        back = turned_about_x(stored)
        assert bits == 12
        torch.testing.assert_close(back.means, splats.means, atol=1 / 4096, rtol=0)
        torch.testing.assert_close(back.scales.log(), splats.scales.log(), atol=1 / 32 + 1e-5, rtol=0)
        torch.testing.assert_close(back.opacities, splats.opacities, atol=1 / 255, rtol=0)
        torch.testing.assert_close(back.colors, splats.colors, atol=0.5 / 255 / 0.15 * SH_CONSTANT + 1e-5, rtol=0)
        off = degrees_between(back.rotations, splats.rotations)
        assert off.max() < WORST_ROTATION
        assert off.median() < 0.15

    def test_through_both_files(self, source, tmp_path):
        """.ply -> .spz -> .ply, the second by another reader and writer."""
        gaussians_ply.write(source, tmp_path)
        spz.write(source, tmp_path)
        first = read_ply(tmp_path / "splats.ply")
        gsply.plywrite(str(tmp_path / "again.ply"), gsply.read_spz(tmp_path / "splats.spz"))
        vertices = plyfile.PlyData.read(str(tmp_path / "again.ply"))["vertex"]
        means = np.stack([vertices[axis] for axis in "xyz"], axis=-1)
        np.testing.assert_allclose(means, first.means.numpy() * [1, -1, -1], atol=1 / 4096)
        rotations = torch.from_numpy(np.stack([vertices[f"rot_{index}"] for index in range(4)], axis=-1))
        assert degrees_between(rotations, turned_about_x(first).rotations).max() < WORST_ROTATION
        np.testing.assert_allclose(1 / (1 + np.exp(-vertices["opacity"])), first.opacities, atol=1 / 255)
        scales = np.stack([vertices[f"scale_{index}"] for index in range(3)], axis=-1)
        np.testing.assert_allclose(scales, first.scales.log(), atol=1 / 32 + 1e-5)
        assert (tmp_path / "splats.spz").stat().st_size < (tmp_path / "splats.ply").stat().st_size / 3

    @pytest.mark.parametrize(("reach", "expected"), [(2047.9, 12), (2048.1, 11), (70000.0, 6)])
    def test_large_scenes_get_coarser_positions(self, tmp_path, reach, expected):
        splats = random_splats(0, count=2)
        means = torch.tensor([[reach, 0.0, -reach], [-reach, reach, 0.0]])
        spz.write_splats(tmp_path / "splats.spz", dataclasses.replace(splats, means=means))
        stored, bits = read_spz(tmp_path / "splats.spz")
        assert bits == expected
        torch.testing.assert_close(turned_about_x(stored).means, means, atol=0.5**bits, rtol=0)

    @pytest.mark.parametrize(("factor", "expected"), [(1.0, 12), (2.0**-8, 14), (2.0**-10, 16)])
    def test_small_scenes_get_finer_positions(self, source, tmp_path, factor, expected):
        """At an eighth of a splat's width at most, whatever the unit."""
        splats = source.splats
        small = dataclasses.replace(splats, means=splats.means * factor, scales=splats.scales * factor)
        spz.write_splats(tmp_path / "splats.spz", small)
        stored, bits = read_spz(tmp_path / "splats.spz")
        assert bits == expected
        off = (turned_about_x(stored).means - small.means).abs().max()
        widths = small.scales.sort(dim=-1).values[:, 1]
        assert off <= widths.median() / 8 * 1.01

    def test_splats_below_its_smallest_are_refused(self, source, tmp_path):
        splats = dataclasses.replace(source.splats, scales=source.splats.scales * 1e-4)
        with pytest.raises(ValueError, match=r"no smaller than 4\.5e-05 units.*scale the scene up.*3dgs"):
            spz.write_splats(tmp_path / "splats.spz", splats)
        assert list(tmp_path.iterdir()) == []

    def test_scenes_beyond_its_numbers_are_refused(self, tmp_path):
        splats = dataclasses.replace(random_splats(0, count=1), means=torch.tensor([[1e7, 0.0, 0.0]]))
        with pytest.raises(ValueError, match="scale the scene down"):
            spz.write_splats(tmp_path / "splats.spz", splats)


@pytest.mark.parametrize("kind", ["nothing", "one frame"])
def test_degenerate_scenes_make_readable_files(tmp_path, kind):
    scene = room_scene(1, 12, 16)
    if kind == "nothing":
        scene = dataclasses.replace(scene, mask=torch.zeros_like(scene.mask))
    source = ExportSource(scene)
    gaussians_ply.write(source, tmp_path)
    spz.write(source, tmp_path)
    count = len(gaussians_from_depth(scene, source.keep))
    assert (count == 0) == (kind == "nothing")
    assert len(read_ply(tmp_path / "splats.ply")) == len(read_spz(tmp_path / "splats.spz")[0]) == count
    assert len(gsply.plyread(tmp_path / "splats.ply").means) == count
