"""A vision-language model of transformers that describes pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, try_to_load_from_cache
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from gen3r.extras import Extra
from gen3r.hub.fetch_errors import explained

CAPTIONS = Extra(name="captions", modules=("torchvision",))
TEMPERATURE = 0.8
"""Of sampled answers."""
PATIENCE = 10
"""Seconds that the hub may take to say whether it has a model."""


class Describer:
    """A model and its processor, by repository or folder.

    Args:
        model: of transformers' image-text-to-text models, with a chat template, such as Qwen/Qwen2.5-VL-7B-Instruct.
        revision: commit, branch or tag of a repository.
        device: where it runs.
        dtype: type of its weights.

    Raises:
        ValueError: if there is no such model, it cannot be asked in a chat, or a library is missing that its
            preprocessing needs.
    """

    def __init__(
        self, model: str, *, revision: str | None = None, device: torch.device | str = "cpu", dtype: torch.dtype
    ) -> None:
        _check_within_reach(model, revision)
        try:
            self.processor: Any = AutoProcessor.from_pretrained(model, revision=revision)
            self.network: Any = AutoModelForImageTextToText.from_pretrained(model, revision=revision, dtype=dtype)
        except ImportError as error:
            CAPTIONS.require(f"captioning with {model}")
            raise ValueError(f"{model} needs a library that is not here: {' '.join(str(error).split())}") from error
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"expected an image-text-to-text model of transformers, got {model!r}: {reason}"
            ) from error
        if getattr(self.processor, "chat_template", None) is None:
            raise ValueError(f"{model} has no chat template, so it cannot be given an instruction; name another model.")
        self.processor.tokenizer.padding_side = "left"
        self.network = self.network.to(device).eval()

    @torch.no_grad()
    def describe(
        self, pictures: Sequence[Sequence[Image.Image]], question: str, *, max_tokens: int, seed: int | None
    ) -> list[str]:
        """One answer per clip, as the model says it.

        Args:
            pictures: frames of every clip, in order, as many of each.
            question: the instruction.
            max_tokens: length of an answer at most.
            seed: of sampling; None takes the likeliest words.
        """
        chats = [
            [{"role": "user", "content": [*({"type": "image", "image": frame} for frame in frames), _text(question)]}]
            for frames in pictures
        ]
        inputs = self.processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self.network.device, self.network.dtype)
        sampling = {} if seed is None else {"temperature": TEMPERATURE}
        with torch.random.fork_rng(devices=[self.network.device] if self.network.device.type == "cuda" else []):
            if seed is not None:
                torch.manual_seed(seed)
            tokens = self.network.generate(**inputs, max_new_tokens=max_tokens, do_sample=seed is not None, **sampling)
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        return self.processor.batch_decode(answers, skip_special_tokens=True)


def _check_within_reach(model: str, revision: str | None) -> None:
    """Ask the hub once, where transformers would try each of its files several times."""
    if Path(model).exists():
        return
    try:
        if isinstance(try_to_load_from_cache(model, "config.json", revision=revision), str):
            return
        with explained(model, revision or "main"):
            HfApi().model_info(model, revision=revision, timeout=PATIENCE)
    except ValueError as error:
        raise ValueError(
            f"{error} Without a model: put prompts into each captions.txt, one per line, or use --source labels."
        ) from error


def _text(question: str) -> dict[str, str]:
    return {"type": "text", "text": question}
