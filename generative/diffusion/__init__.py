"""Models that turn noise into images step by step: denoising diffusion and flow matching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.diffusion.ddpm import DDPM
    from generative.diffusion.matching import FlowMatching

__all__ = ["DDPM", "FlowMatching"]

__getattr__, __dir__ = lazily(
    __name__, {"DDPM": "generative.diffusion.ddpm", "FlowMatching": "generative.diffusion.matching"}
)
