from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.hub_server import HubServer, point_to, use_cache
from hub.standin import build_standin, build_standin_vggt

Serve = Callable[[dict[str, Path]], HubServer]


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official repository at small size, its larger networks in shards. Not to be written to."""
    return build_standin(tmp_path_factory.mktemp("standin") / "Gen3R", max_shard_bytes=1_200_000)


@pytest.fixture(scope="session")
def standin_vggt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public repository of VGGT at small size. Not to be written to."""
    return build_standin_vggt(tmp_path_factory.mktemp("standin") / "VGGT-1B", track_head=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of huggingface_hub."""
    use_cache(tmp_path / "hub", monkeypatch)
    return tmp_path / "hub"


@pytest.fixture
def serve(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a hub with some repositories and points huggingface_hub to it; all of them stop with the test."""
    servers: list[HubServer] = []

    def start(repositories: dict[str, Path]) -> HubServer:
        server = HubServer(repositories)
        server.__enter__()
        servers.append(server)
        point_to(server.endpoint, monkeypatch)
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)
