import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from gen3r.hub.files import ModelFolderError
from gen3r.hub.folder import config_from_dict, load_network, save_network
from gen3r.hub.registry import resolve_model
from gen3r.models.adapter import AdapterConfig, GeometryAdapter

CONFIG = AdapterConfig(hidden=4, token_channels=40, resample_scale=4, res_blocks=1, io_kernel=1)


@pytest.fixture
def folder(tmp_path):
    save_network(GeometryAdapter(CONFIG), CONFIG, tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_network_comes_back_equal(folder) -> None:
    loaded = load_network(GeometryAdapter, AdapterConfig, folder)
    assert loaded.config == CONFIG
    stored = load_file(folder / "model.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in loaded.state_dict().items())


def test_half_precision_files_fill_float32_networks(folder) -> None:
    path = folder / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    loaded = load_network(GeometryAdapter, AdapterConfig, folder)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_missing_and_unexpected_tensors_are_named(folder) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    gone = sorted(tensors)[0]
    tensors["stranger"] = tensors.pop(gone)
    save_file(tensors, path)
    with pytest.raises(ModelFolderError, match="stranger") as caught:
        load_network(GeometryAdapter, AdapterConfig, folder)
    assert gone in str(caught.value)


def test_misshapen_tensors_are_named(folder) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    tensors[name] = torch.zeros(3, 3, 3)
    save_file(tensors, path)
    with pytest.raises(ModelFolderError, match=r"has shape \(3, 3, 3\)"):
        load_network(GeometryAdapter, AdapterConfig, folder)


def test_truncated_weights_are_called_damaged(folder) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFolderError, match="damaged"):
        load_network(GeometryAdapter, AdapterConfig, folder)


@pytest.mark.parametrize(("change", "said"), [({"colour": 1}, "colour"), ("not json", "valid JSON")])
def test_bad_configs_are_explained(folder, change, said) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change) if isinstance(change, dict) else "{oops")
    with pytest.raises(ModelFolderError, match=said):
        load_network(GeometryAdapter, AdapterConfig, folder)


def test_missing_fields_without_default_are_named() -> None:
    from gen3r.pipeline import PipelineConfig

    with pytest.raises(ModelFolderError, match="name"):
        config_from_dict(PipelineConfig, {"frames": 9}, "pipeline.json")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"frames": "nine"}, "frames to be int"),
        ({"frames": True}, "frames to be int"),
        ({"name": 3}, "name to be str"),
        ({"scene_cameras": "imagined"}, "one of predicted, requested"),
        ({"conditioning": {"control_geometry": "guessed"}}, "one of zeros, encoded"),
        ({"conditioning": {"image_pixels": "guessed"}}, "one of antialiased, untruncated, official"),
    ],
)
def test_fields_of_another_kind_are_named(values: dict, said: str) -> None:
    from gen3r.pipeline import PipelineConfig

    with pytest.raises(ModelFolderError, match=said):
        config_from_dict(PipelineConfig, {"name": "mine"} | values, "pipeline.json")


def test_unknown_models_list_the_known_ones(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"pipeline\.json"):
        resolve_model(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        resolve_model("enormous")
