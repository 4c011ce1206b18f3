"""Low-rank updates of the transformer's layers by peft: added, saved as a small file, loaded, and merged.

The file is what diffusers writes for its Wan transformers (``pytorch_lora_weights.safetensors`` with the settings in
its header), so ``transformer.load_lora_adapter`` of any program reads it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor

from gen3r.extras import Extra
from gen3r.hub.files import whole_folder, write_json
from gen3r.hub.folder import CONFIG_FILE, WEIGHTS_FILE, save_network, stored_tensors
from gen3r.hub.networks import TRANSFORMER
from gen3r.models.transformer import JointTransformer
from gen3r.presets.stages import LoRAConfig

LORA_FOLDER, LORA_FILE = "lora", "pytorch_lora_weights.safetensors"
ADAPTER_NAME = "default"
EXTRA = Extra(name="train", modules=("peft",))
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj")
_FFN = ("ffn.net.0.proj", "ffn.net.2")


def add_lora(transformer: JointTransformer, config: LoRAConfig) -> None:
    """Freeze the transformer and give its layers updates that start at zero, in float32.

    Their random halves come from the global generator.

    Raises:
        ValueError: naming the extra, without peft.
    """
    EXTRA.require("training low-rank updates")
    from peft import LoraConfig

    names = (*(_ATTENTION if config.attention else ()), *(_FFN if config.ffn else ()))
    transformer.requires_grad_(False)
    transformer.add_adapter(
        LoraConfig(
            r=config.rank,
            lora_alpha=cast(int, config.alpha),  # any number will do
            lora_dropout=config.dropout,
            target_modules=list(names),
        ),
        ADAPTER_NAME,
    )
    for parameter in transformer.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def is_updated(transformer: torch.nn.Module) -> bool:
    """Whether a network carries low-rank updates."""
    return any(".lora_A." in name for name, _ in transformer.named_parameters())


def save_lora(transformer: JointTransformer, folder: Path) -> Path:
    """Write the updates alone, megabytes, and return the file."""
    from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY
    from peft.utils import get_peft_model_state_dict

    settings = cast(Any, transformer).peft_config[ADAPTER_NAME].to_dict()
    settings = {name: sorted(value) if isinstance(value, set) else value for name, value in settings.items()}
    tensors = get_peft_model_state_dict(transformer, adapter_name=ADAPTER_NAME)
    with whole_folder(folder) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            temporary / LORA_FILE,
            {"format": "pt", LORA_ADAPTER_METADATA_KEY: json.dumps(settings, sort_keys=True)},
        )
    return folder / LORA_FILE


def load_lora(transformer: JointTransformer, folder: Path) -> None:
    """Put saved updates on a transformer, unmerged: they can be scaled, switched off and removed.

    Raises:
        ValueError: if there is no such file, or (naming the extra) without peft.
    """
    EXTRA.require("loading low-rank updates")
    if not (folder / LORA_FILE).is_file():
        raise ValueError(f"expected low-rank updates in {folder / LORA_FILE}, found none; name the lora/ of an export.")
    transformer.load_lora_adapter(folder, prefix=cast(str, None), weight_name=LORA_FILE)


@torch.no_grad()
def merged_tensors(transformer: JointTransformer) -> dict[str, Tensor]:
    """The tensors of the transformer with its updates worked in, under the names it has without them, on the CPU.

    Layers with an update come as float32, whatever their frozen weights are: half precision would round it away.
    """
    from peft.tuners.lora import LoraLayer

    tensors = {
        name.replace(".base_layer.", "."): value
        for name, value in stored_tensors(transformer).items()
        if ".lora_" not in name
    }
    for name, module in transformer.named_modules():
        if isinstance(module, LoraLayer):
            update = sum(
                cast(Any, module).get_delta_weight(adapter).float().cpu() for adapter in module.active_adapters
            )
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"].float() + update
    return tensors


def save_transformer(transformer: JointTransformer, folder: Path) -> None:
    """Write ``folder/transformer``, with updates merged into it, and those alone as ``folder/lora``."""
    if not is_updated(transformer):
        save_network(transformer, transformer.settings, folder / TRANSFORMER)
        return
    save_lora(transformer, folder / LORA_FOLDER)
    with whole_folder(folder / TRANSFORMER) as temporary:
        write_json(temporary / CONFIG_FILE, asdict(transformer.settings))
        save_file(merged_tensors(transformer), temporary / WEIGHTS_FILE)
