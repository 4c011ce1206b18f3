"""The video autoencoder: diffusers' Wan VAE, unforked, with an optional linear path that small models start from."""

from gen3r.models.vae.config import VAEConfig
from gen3r.models.vae.fit import fit_linear_shortcut
from gen3r.models.vae.linear import LinearVideoCode
from gen3r.models.vae.model import LinearShortcutVAE

__all__ = ["LinearShortcutVAE", "LinearVideoCode", "VAEConfig", "fit_linear_shortcut"]
