"""Nodes of the scene tree on a server that nobody looks at."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

pytest.importorskip("viser", reason="viser is missing; pip install 'gen3r[viewer]'")

import viser

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.apps.viewer.geometry import GEOMETRIES, Request
from gen3r.apps.viewer.latest import LatestOnly
from gen3r.apps.viewer.listening import Address, listening
from gen3r.apps.viewer.placement import Arrangement, place
from gen3r.apps.viewer.poses import pose_matrix
from gen3r.apps.viewer.scene_layer import Look, SceneLayer, frustum_scale
from scene.rooms import room_scene


@pytest.fixture(scope="module")
def server() -> Iterator[viser.ViserServer]:
    with listening(Address(port=0)) as started:
        yield started


def request(shown: ShownScene, node: str) -> Request:
    filters = Filters(cleaning="none")
    return Request(node=node, shown=shown, filters=filters, frame=None, scale=1.0, point_size=0.1)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_geometry_draws_a_scene_and_nothing_of_nothing(name: str, server: viser.ViserServer) -> None:
    way = GEOMETRIES[name]
    if not way.available:
        assert way.extra is not None
        pytest.skip(f"{name} needs {way.extra.remedy}")
    scene = room_scene(frames=2, height=24, width=32)
    assert way.draw(server.scene, request(ShownScene("room", scene), f"/{name}")) is not None
    empty = type(scene)(**{**vars(scene), "mask": torch.zeros_like(scene.mask)})
    assert way.draw(server.scene, request(ShownScene("empty", empty), f"/{name}/empty")) is None


def test_frusta_stand_where_the_cameras_do(server: viser.ViserServer) -> None:
    shown = ShownScene("room", room_scene(frames=3, height=12, width=16))
    layer = SceneLayer(server.scene, "frusta", shown, label=False)
    layer.place(place([shown], Arrangement())[0])
    layer.show(Look(frame=1))
    for index, camera in enumerate(shown.scene.cameras.world_from_camera.double().numpy()):
        node = server.scene.get_handle_by_name(f"/frusta/cameras/{index}")
        assert node is not None
        np.testing.assert_allclose(pose_matrix(node.wxyz, node.position), camera, atol=1e-6)
    deep = viser.CameraFrustumHandle.compute_canonical_frustum_size(layer._frusta[0])[2]
    depth = frustum_scale(layer._frusta[0].fov, layer._frusta[0].aspect, 2.5) * deep
    assert depth == pytest.approx(2.5)


def test_new_points_come_before_the_old_ones_go(server: viser.ViserServer) -> None:
    shown = ShownScene("room", room_scene(frames=2, height=12, width=16))
    layer = SceneLayer(server.scene, "points", shown, label=False)
    layer.place(place([shown], Arrangement())[0])
    layer.show(Look(filters=Filters(cleaning="none")))
    raw = layer._drawn[None]
    layer.show(Look(filters=Filters(cleaning="strong")))
    clean = layer._drawn[None]
    assert raw is not None
    assert clean is not None
    assert server.scene.get_handle_by_name(raw.name) is None
    assert server.scene.get_handle_by_name(clean.name) is clean
    assert len(clean.points) < len(raw.points)


def test_of_requests_that_wait_the_newest_is_met() -> None:
    wanted, met, begun, go = 0, [], threading.Event(), threading.Event()

    def action() -> None:
        begun.set()
        go.wait(10)
        met.append(wanted)

    latest = LatestOnly(action)
    threads = [threading.Thread(target=latest) for _ in range(6)]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while latest._newest < 5:
        time.sleep(0.01)
    wanted = 7
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(met) == 2
    assert met[-1] == 7
