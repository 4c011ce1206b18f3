"""The joint transformer against the official one."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gen3r.hub.convert.transformer import transformer_keys
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.transformer.rotary import JointRotaryPosEmbed
from gen3r.train.objectives.diffusion import squared_errors
from parity._goldens import Golden, goldens, manifest
from parity._networks import transformer

FORWARD = goldens("wan_transformer_forward")
TRAIN = goldens("train_step")
OFFICIAL_SHIFT, OFFICIAL_OUTLIER = 2.0, 50.0
OFFICIAL_PARAMETERS = 1_616_337_728


def text_of(golden: Golden) -> Tensor:
    """The prompts, padded by zeros to one length; the model pads the rest."""
    return pad_sequence([golden[f"context_{i}"] for i in range(len(golden["x"]))], batch_first=True)


@pytest.mark.parametrize("golden", FORWARD, ids=str)
@torch.no_grad()
def test_forward(golden: Golden) -> None:
    model = transformer(golden)
    inputs = (golden["x"], golden["t"], golden["y"], text_of(golden))
    camera, image = golden["y_camera"].float(), golden["clip_fea"].float()
    golden.check("out_camera", model(*inputs, camera, image))
    golden.check("out_no_camera", model(*inputs, None, image))
    golden.check("out_zero_camera", model(*inputs, torch.zeros_like(camera), image))


@pytest.mark.parametrize("golden", FORWARD, ids=str)
@torch.no_grad()
def test_forward_with_kept_conditions(golden: Golden) -> None:
    model = transformer(golden)
    static = model.prepare(text_of(golden), golden["y_camera"].float(), golden["clip_fea"].float())
    for _ in range(2):
        golden.check("out_camera", model(golden["x"], golden["t"], golden["y"], static=static))


@pytest.mark.parametrize("golden", FORWARD, ids=str)
@torch.no_grad()
def test_square_grid_uses_ordinary_positions(golden: Golden) -> None:
    model = transformer(golden, shared_rope=False)
    output = model(
        golden["x_square"],
        golden["t"][:1],
        golden["y_square"],
        golden["context_0"][None],
        None,
        golden["clip_fea"][:1].float(),
    )
    golden.check("out_square_no_camera", output)


@pytest.mark.parametrize("golden", FORWARD, ids=str)
@torch.no_grad()
def test_intermediate_values(golden: Golden) -> None:
    model = transformer(golden)
    taps: dict[str, Tensor] = {}

    def keep(name: str, module: torch.nn.Module) -> None:
        module.register_forward_hook(lambda _module, _inputs, output: taps.__setitem__(name, output))

    embedder = model.condition_embedder
    keep("tap_time_sinusoid", embedder.timesteps_proj)
    keep("tap_time_projection", embedder.time_proj)
    keep("tap_adapter", model.camera_adapter)
    keep("tap_text", embedder.text_embedder)
    keep("tap_image", embedder.image_embedder)
    keep("tap_block0", model.blocks[0])
    camera, image = golden["y_camera"].float(), golden["clip_fea"].float()
    model(golden["x"], golden["t"], golden["y"], text_of(golden), camera, image)
    assert set(taps) == {name for name in golden.tensors if name.startswith("tap_")}
    for name, value in taps.items():
        rows = golden[name].shape[1] if name in ("tap_text", "tap_image") else None
        golden.check(name, value if rows is None else value[:, :rows])


@pytest.mark.parametrize(("key", "shared"), [("rope_q_out", True), ("rope_q_out_plain", False)])
@pytest.mark.parametrize("golden", FORWARD, ids=str)
def test_rotary_positions(golden: Golden, key: str, shared: bool) -> None:
    query = golden["rope_q"]
    patch = tuple(golden.hyperparameters["patch_size"])
    cosine, sine = JointRotaryPosEmbed(query.shape[-1], patch, shared)(golden["x"])
    turned = torch.stack([-query[..., 1::2], query[..., 0::2]], dim=-1).flatten(-2)
    golden.check(key, query * cosine + turned * sine)


@pytest.mark.parametrize("golden", TRAIN, ids=str)
def test_training_step(golden: Golden) -> None:
    model = transformer(golden.used("transformer"))
    indices, sigma = golden["indices"], golden["sigmas"]
    table = FlowMatchEulerDiscreteScheduler(shift=OFFICIAL_SHIFT)
    golden.check("timesteps", table.timesteps[indices])
    golden.check("sigmas", table.sigmas[indices].view(-1, 1, 1, 1, 1))
    noisy = (1 - sigma) * golden["x0"] + sigma * golden["noise"]
    golden.check("noisy", noisy)
    golden.check("target", golden["noise"] - golden["x0"])
    camera, image = golden["y_camera"].float(), golden["clip_fea"].float()
    prediction = model(noisy, golden["timesteps"], golden["y"], golden["context"], camera, image)
    golden.check("pred", prediction)
    loss = squared_errors(prediction, golden["target"], OFFICIAL_OUTLIER).mean()
    golden.check("loss", loss)
    outliers = golden["outlier_pred"]
    moved = (outliers - prediction.detach()).abs() > 1
    golden.check("outlier_pred", torch.where(moved, outliers, prediction))
    golden.check("outlier_loss", squared_errors(outliers, golden["target"], OFFICIAL_OUTLIER).mean())
    loss.backward()
    names = {name: parameter.grad for name, parameter in model.named_parameters()}
    keys = transformer_keys(model.settings.num_layers)
    gradients = {keys.to_official(name): gradient for name, gradient in names.items()}
    without = {name for name, gradient in gradients.items() if gradient is None}
    assert without == set(golden.entry["params_without_grad"])
    golden.check("grad_norm", torch.stack([g.norm() for g in gradients.values() if g is not None]).norm())
    for key in golden.tensors:
        if key.startswith("grad."):
            golden.check(key, gradients[key.removeprefix("grad.")])


def test_full_size_names_and_shapes() -> None:
    official = manifest("wan_transformer_gen3r.full.json")
    with torch.device("meta"):
        model = JointTransformer(TransformerConfig())
    keys = transformer_keys(model.settings.num_layers)
    assert {name: tuple(value.shape) for name, value in keys.export(model).items()} == official
    assert set(keys.convert({name: torch.empty(s, device="meta") for name, s in official.items()}, model)) == set(
        model.state_dict()
    )
    assert sum(parameter.numel() for parameter in model.parameters()) == OFFICIAL_PARAMETERS
    assert sum(parameter.numel() for parameter in model.camera_adapter.parameters()) == 51_909_120
