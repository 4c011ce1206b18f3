"""Where networks live does not change what they compute; and none of them computes at home."""

import inspect
from contextlib import ExitStack

import pytest
import torch
from diffusers.hooks import apply_group_offloading
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gen3r.pipeline import residency
from gen3r.pipeline.memory import PROFILES, networks_by_name
from gen3r.pipeline.residency import Residency, stream_blocks

from .conftest import build_pipeline
from .live import storage_of

CPU = torch.device("cpu")


class NothingWorksAtHome(TorchDispatchMode):
    """Fails if anything but a copy reads the given weights."""

    def __init__(self, weights: list[torch.Tensor]) -> None:
        super().__init__()
        self.home = {storage_of(tensor) for tensor in weights}
        self.copies = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        read = {storage_of(t) for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)} & self.home
        if read and func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.clone):
            self.copies += 1
        elif read and func.overloadpacket not in (torch.ops.aten.detach, torch.ops.aten.alias):
            raise AssertionError(f"{func} worked with weights that were at home.")
        return func(*args, **(kwargs or {}))


def weights(*networks: nn.Module) -> list[torch.Tensor]:
    return [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]


@pytest.mark.parametrize("image_dim", [None, 32])
def test_networks_work_where_they_visit(photo, image_dim) -> None:
    """Every stage of every kind of request, from camera paths to decoding."""
    pipeline = build_pipeline(image_dim=image_dim)
    visiting = build_pipeline(image_dim=image_dim, memory=PROFILES[16])
    with NothingWorksAtHome(weights(*networks_by_name(visiting.networks).values())) as watch:
        scene = visiting([photo], "a red ball", cameras="orbit", guidance=3.0, generator=1)
        pictures = visiting.reconstruct([photo])
    assert watch.copies
    expected = pipeline([photo], "a red ball", cameras="orbit", guidance=3.0, generator=1)
    assert torch.equal(scene.rgb, expected.rgb)
    assert torch.equal(scene.points, expected.points)
    assert torch.equal(pictures.depth, pipeline.reconstruct([photo]).depth)


def test_the_geometry_half_of_the_control_is_encoded_where_networks_visit(photo) -> None:
    visiting = build_pipeline(memory=PROFILES[16], control_geometry="encoded")
    with NothingWorksAtHome(weights(*networks_by_name(visiting.networks).values())):
        scene = visiting([photo], generator=1)
    assert torch.equal(scene.depth, build_pipeline(control_geometry="encoded")([photo], generator=1).depth)


def test_visits_nest_and_end_even_in_errors() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    home = [tensor.data_ptr() for tensor in weights(network)]
    residency = Residency(CPU, {"network": "visits"})

    def places() -> list[bool]:
        return [tensor.data_ptr() == at for tensor, at in zip(weights(network), home, strict=True)]

    def fail() -> None:
        with residency.use("network", network):
            assert not any(places())
            raise KeyboardInterrupt

    with residency.use("network", network[0]):
        assert places() == [False, False, True, True]
        with pytest.raises(KeyboardInterrupt):
            fail()
        assert places() == [False, False, True, True]
    assert all(places())


def test_shared_weights_visit_together() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    with Residency(CPU, {"network": "visits"}).use("network", nn.ModuleList([first, second])):
        assert first.weight is second.weight
        assert first.weight.data_ptr() == second.weight.data_ptr()


@pytest.mark.parametrize("residence", ["device", "cpu", "streams"])
def test_others_stay_as_they_are_put(residence) -> None:
    network = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(2, 2)])})
    residency = Residency(CPU, {"network": residence})
    residency.settle("network", network)
    home = network["blocks"][0].weight.data_ptr()
    with ExitStack() as stack:
        stack.enter_context(residency.use("network", network))
        assert network["blocks"][0].weight.data_ptr() == home


def test_on_a_gpu_blocks_stream_beside_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What diffusers is asked for; that it works there is tested in test_cuda."""
    asked: list[dict] = []

    def remember(*positional, **named) -> None:
        asked.append(inspect.signature(apply_group_offloading).bind(*positional, **named).arguments)

    monkeypatch.setattr(residency, "apply_group_offloading", remember)
    cuda, networks = torch.device("cuda", 1), build_pipeline().networks
    home = PROFILES[8].residency(cuda)
    for name, network in (("transformer", networks.transformer), ("text_encoder", networks.text)):
        home.settle(name, network)
    stacks = [networks.transformer, networks.text.encoder.encoder]
    assert [each.pop("module") is stack for each, stack in zip(asked, stacks, strict=True)] == [True, True]
    transformer, text = asked
    common = {
        "onload_device": cuda, "offload_device": CPU, "offload_type": "block_level", "num_blocks_per_group": 1,
        "use_stream": True, "record_stream": True,
    }  # fmt: skip
    assert transformer == common | {"low_cpu_mem_usage": False}  # pinned for good: it works in every step
    assert text == common | {"low_cpu_mem_usage": True}


def test_a_network_without_blocks_cannot_stream() -> None:
    with pytest.raises(ValueError, match="list of blocks to stream, got Linear"):
        stream_blocks(nn.Linear(2, 2), CPU, pinned=False)
