from pathlib import Path

import pytest

from gen3r.prepare.encoding import EncodeConfig, EncodeShard, plan_encoding
from pipeline.conftest import build_pipeline
from prepare.clip_folders import write_dataset


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hashes of networks are not kept in the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the released kind at the smallest size: frozen text encoder and image encoder."""
    folder = tmp_path_factory.mktemp("models") / "random"
    build_pipeline(image_dim=16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "clips")


def config_of(dataset: Path, out: Path, model: Path, **changes: object) -> EncodeConfig:
    values: dict = {"clips_per_shard": 2, "subsets": 1, "clean_prefixes": False} | changes
    return EncodeConfig(datasets=(str(dataset),), out=str(out), model=str(model), **values)


def encode(config: EncodeConfig) -> Path:
    """Everything, in this process, through the unit of work."""
    items = plan_encoding(config)
    if items:
        unit = EncodeShard(config.settings())
        for item in items:
            unit(item)
    return Path(config.out)


@pytest.fixture(scope="session")
def encoded(dataset: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(config_of(dataset, tmp_path_factory.mktemp("encoded") / "latents", model))
