"""The networks of a pipeline at work: each stage brings those it needs to the device, and says what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TypeVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gen3r.cameras import Cameras
from gen3r.conditioning.condition import Condition, Conditioner
from gen3r.conditioning.image import IMAGE_PIXELS, ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.networks import (
    IMAGE_ENCODER,
    TEXT_ENCODER,
    TRANSFORMER,
    VAE,
    VGGT_FOLDER,
    Networks,
)
from gen3r.hub.stream import Placement
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import GeometryCodec
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import JointLatent, kept
from gen3r.models.transformer import JointTransformer
from gen3r.models.vggt import VGGTOutput
from gen3r.pipeline.acceleration import Acceleration, accelerated
from gen3r.pipeline.cameras import CameraPath
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.decode import decode_frames, decode_geometry
from gen3r.pipeline.denoise import Sampling, StepCallback, Watch, denoise
from gen3r.pipeline.few_steps import FewSteps
from gen3r.pipeline.memory import MemoryProfile, networks_by_name
from gen3r.pipeline.numerics import Numerics, NumericsName, numerics_of
from gen3r.pipeline.parallel import Parallel
from gen3r.pipeline.request import PlacedViews, SceneRequest
from gen3r.pipeline.residency import Residency

AnyStages = TypeVar("AnyStages", bound="Stages")


class Stages:
    """The networks of a pipeline and what each stage does with them; ``Gen3RPipeline`` strings the stages together.

    Args:
        networks: the five networks; latents, guidance and all geometry stay in float32 whatever the networks' type.
        config: how the weights were trained.
        numerics: "official" does what the official code does where we think something else better, see
            ``pipeline.numerics``.
        memory: how to stay within the memory of ``device``, see ``pipeline.memory``; the networks, on the CPU or where
            ``memory.placements`` has them loaded, are then placed by the pipeline. None keeps everything on ``device``.
        acceleration: what to trade for speed, see ``pipeline.acceleration``.
        parallel: the processes that share the denoising, see ``pipeline.parallel``.
        device: where the networks work; left out, where the transformer is.
    """

    def __init__(
        self,
        networks: Networks,
        config: PipelineConfig,
        *,
        numerics: NumericsName | Numerics = "default",
        memory: MemoryProfile | None = None,
        acceleration: Acceleration | None = None,
        parallel: Parallel | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self.numerics = numerics if isinstance(numerics, Numerics) else numerics_of(numerics)
        self.config = config
        self.appearance: AppearanceCodec = networks.appearance
        self.geometry: GeometryCodec = networks.geometry
        self.transformer: JointTransformer = networks.transformer
        self.text: TextEncoder = networks.text
        self.image: ImageEncoder | None = networks.image
        self._few_part, self._few = networks.few_steps, None
        if self.image is not None and self.numerics.image_pixels is not None:
            self.image = ImageEncoder(self.image.vision, IMAGE_PIXELS[self.numerics.image_pixels], self.image.layer)
        if (self.image is None) != (self.transformer.settings.image_dim is None):
            raise ValueError(
                f"expected an image encoder exactly when the transformer reads image features, got "
                f"image_dim={self.transformer.settings.image_dim} and {type(self.image).__name__}."
            )
        if self.geometry.name != config.codec:
            raise ValueError(f"expected the geometry codec {config.codec}, got {self.geometry.name}.")
        if self.geometry.halves == 1 and self.transformer.settings.shared_rope:
            raise ValueError(
                f"expected a transformer without shared_rope for latents of one half (codec {config.codec}), whose "
                "columns it would count twice; it was trained for another codec."
            )
        self.conditioner = Conditioner(
            self.appearance,
            self.numerics.conditioning(config.conditioning),
            geometry=self.geometry,
            text=self.text,
            image=self.image,
        )
        self.memory = memory
        self.acceleration = acceleration or Acceleration()
        self.parallel = parallel
        home = next(self.transformer.parameters()).device if device is None else torch.device(device)
        self.residency = Residency(home, {}) if memory is None else memory.residency(home)
        if memory is None and device is not None:
            self.to(device)
        for name, network in networks_by_name(self.networks).items():
            if next(network.parameters(), None) is not None:
                self._settle(name, network)

    def _settle(self, name: str, network: nn.Module) -> None:
        """Make a network ready to work."""
        network.eval().requires_grad_(False)
        if self.memory is not None:
            self.memory.store(name, network)
        self.residency.settle(name, network)

    @property
    def networks(self) -> Networks:
        """The networks as one bundle."""
        return Networks(
            appearance=self.appearance,
            geometry=self.geometry,
            transformer=self.transformer,
            text=self.text,
            image=self.image,
            few_steps=self._few_part,
        )

    @property
    def few_steps_transformer(self) -> JointTransformer:
        """The transformer for few steps, read when it is first asked for, where and as narrow as the other one is.

        Raises:
            ValueError: if the model has none.
        """
        few = self.config.few_steps
        if few is not None and few.folder is None:
            return self.transformer
        if self._few is None:
            if few is None or self._few_part is None:
                raise ValueError("expected a model with a few-step transformer, this one has none.")
            here = Placement(device=self.device, dtype=self.transformer.dtype)
            place = here if self.memory is None else self.memory.placements(self.device)[TRANSFORMER]
            student: JointTransformer = self._few_part.load(place)
            self._settle(TRANSFORMER, student)
            self._few = student
        return self._few

    @property
    def device(self) -> torch.device:
        """Where the networks work."""
        return next(self.transformer.parameters()).device if self.memory is None else self.residency.device

    def to(self: AnyStages, device: torch.device | str, dtype: torch.dtype | None = None) -> AnyStages:
        """Move the networks; ``dtype`` leaves VGGT and the adapter in float32.

        Raises:
            ValueError: under a memory profile, which places the networks itself.
        """
        if self.memory is not None:
            raise ValueError(
                f"expected a pipeline without memory profile to move, got profile {self.memory.name}; "
                "pass memory= and device= when the pipeline is made."
            )
        self._few = None  # read again where it is needed
        for network in self.networks.modules():
            network.to(device)
        if dtype is not None:
            for network in (self.transformer, self.appearance.vae, self.text, self.image):
                if network is not None:
                    nn.Module.to(network, dtype)
        return self

    def encode_conditions(
        self,
        requests: Sequence[SceneRequest],
        placed: Sequence[PlacedViews],
        paths: Sequence[CameraPath],
        grid: LatentGrid,
        generators: Sequence[torch.Generator] | None = None,
        *,
        text: Float[Tensor, "B L Dt"] | None = None,
    ) -> Condition:
        """What the transformer reads besides noise and time, for the positive branch of guidance.

        ``generators``, one per request, draw control latents where ``ConditioningConfig.sample_control`` asks for it.
        ``text`` are features of the prompts, if they have been encoded.
        """
        if text is None:
            prompts = [request.prompt for request in requests]
            with self._text_at_work(prompts):
                text = self._text_features(prompts)
        identity = Cameras.from_fov(torch.eye(4).expand(grid.frames, 4, 4), 1.0, grid.height, grid.width)
        cameras = Cameras.stack([path.cameras or identity for path in paths]).to(self.device)
        video = torch.stack([views.video for views in placed]).to(self.device)
        video = video.to(self.numerics.rounding(self.transformer.dtype)).float()
        given = torch.stack([views.given for views in placed]).to(self.device)
        follows = torch.tensor([path.cameras is not None for path in paths], device=self.device)
        known = follows[:, None].expand(-1, grid.frames)
        with self._control_encoders_at_work():
            control = self.conditioner.control(video, given, generators)
        with nullcontext() if self.image is None else self.residency.use(IMAGE_ENCODER, self.image):
            image = self.conditioner.image_features(video, given)
        rays = self.conditioner.rays(cameras, grid, like=video, known=known)
        halves = self.geometry.halves
        rays = kept(rays.to(self.transformer.dtype), halves)
        return Condition(control=kept(control, halves), text=text, camera=rays, image=image)

    def denoise(
        self,
        noise: Float[Tensor, "B C f h W"],
        condition: Condition,
        *,
        steps: int,
        guidance: float,
        negative: Float[Tensor, "one L Dt"] | None = None,
        few: FewSteps | None = None,
        generators: Sequence[torch.Generator] = (),
        callback: StepCallback | None = None,
        watch: Watch | None = None,
    ) -> Float[Tensor, "B C f h W"]:
        """Steps from noise to clean joint latents, in float32 (see ``pipeline.denoise``).

        ``negative`` are features of the negative prompt, if they have been encoded. ``few`` takes the transformer for
        few steps, and its levels.
        """
        skip = self.acceleration.guidance_skip
        sampling = Sampling(steps=steps, shift=self.config.shift, guidance=guidance, guidance_skip=skip, few=few)
        transformer = self.transformer if few is None else self.few_steps_transformer
        other = None
        if guidance != 1.0:
            if negative is None:
                with self._text_at_work([self.config.negative_prompt]):
                    negative = self._text_features([self.config.negative_prompt])
            negative = negative.expand_as(condition.text)
            other = None if torch.equal(negative, condition.text) else negative
        with (
            self.residency.use(TRANSFORMER, transformer),
            accelerated(transformer, self.acceleration, steps),
        ):
            return denoise(
                transformer,
                noise,
                condition,
                other,
                sampling,
                mode="passes" if self.memory is None else self.memory.guidance,
                parallel=self.parallel,
                rounding=self.numerics.rounding(transformer.dtype),
                generators=generators,
                callback=callback,
                watch=watch,
            )

    @torch.no_grad()
    def last_picture(self, latents: Float[Tensor, "B C f h W"]) -> UInt8[Tensor, "B height width 3"]:
        """The last frame of each clip by its last two latent frames: quick, and close to what ``decode`` gives."""
        appearance = JointLatent.from_tensor(latents, self.geometry.halves).appearance[:, :, -2:]
        with self.residency.use(VAE, self.appearance):
            return decode_frames(appearance, self.appearance)[:, -1]

    def decode(
        self, latents: Float[Tensor, "B C f h W"], grid: LatentGrid
    ) -> tuple[UInt8[Tensor, "B F height width 3"], VGGTOutput]:
        """RGB frames, and depth, points and cameras, of clean joint latents; all on the CPU."""
        halves = JointLatent.from_tensor(latents, self.geometry.halves)
        with self.residency.use(VAE, self.appearance):
            frames = decode_frames(halves.appearance, self.appearance)
        with self.at_work(self.geometry.decoding()):
            return frames, decode_geometry(halves.geometry, frames, grid, self.geometry, self._head_frames)

    @torch.no_grad()
    def read_geometry(self, pictures: Float[Tensor, "B V 3 H W"]) -> VGGTOutput:
        """What VGGT sees in pictures in [0, 1]; on the CPU.

        Raises:
            ValueError: if the model has no VGGT.
        """
        vggt = self.geometry.vggt
        with self.residency.use(VGGT_FOLDER, vggt.aggregator):
            tokens = vggt.aggregate(pictures.to(self.device))
        heads = {VGGT_FOLDER: (vggt.depth_head, vggt.point_head, vggt.camera_head)}
        with self.at_work(heads):
            return vggt.decode(tokens, (pictures.shape[-2], pictures.shape[-1]), self._head_frames).to("cpu")

    @contextmanager
    def at_work(self, modules: Mapping[str, Sequence[nn.Module]]) -> Iterator[None]:
        """Networks, or parts of them, are where they work."""
        with ExitStack() as stack:
            for name, parts in modules.items():
                stack.enter_context(self.residency.use(name, *parts))
            yield

    @property
    def _head_frames(self) -> int:
        return MemoryProfile.head_frames if self.memory is None else self.memory.head_frames

    @contextmanager
    def _text_at_work(self, prompts: Sequence[str]) -> Iterator[None]:
        """The text encoder is loaded if it must be, brought where it works, and let go in the end."""
        if self.text.prepare(prompts):
            self._settle(TEXT_ENCODER, self.text)
        try:
            with self.residency.use(TEXT_ENCODER, self.text):
                yield
        finally:
            self.text.release()

    @contextmanager
    def _control_encoders_at_work(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(self.residency.use(VAE, self.appearance))
            if self.conditioner.config.control_geometry == "encoded":
                stack.enter_context(self.at_work(self.geometry.encoding()))
            yield

    def _text_features(self, prompts: Sequence[str]) -> Float[Tensor, "B L Dt"]:
        return self.conditioner.text_features(prompts).to(self.device)
