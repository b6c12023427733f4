"""Invertible layers at several resolutions, the coarser on half of the channels (Dinh et al. 2017, section 3.6)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from generative.flows.layers import ActNorm, Chain, Coupling, Invertible, Logit, Mixing, Squeeze
from lab.errors import ConfigError


class MultiScale(nn.Module):
    """A bijection from images `(B, C, H, W)` in [0, 1] to latents `(B, C H W)`.

    At each resolution: squeeze, then steps of actnorm, 1x1 convolution and coupling (Kingma & Dhariwal 2018, section
    3). Then half of the channels leave, scaled and shifted by what the others say; the others go on.

    Args:
        shape: `(C, H, W)`; the sides are divisible by 2 at each resolution.
        levels: resolutions.
        steps: at each resolution.
        hidden: channels inside the couplings.
        margin: of the logit.
    """

    def __init__(self, shape: tuple[int, int, int], *, levels: int, steps: int, hidden: int, margin: float) -> None:
        super().__init__()
        channels, height, width = shape
        if height % 2**levels or width % 2**levels:
            raise ConfigError(
                f"a flow of {levels} levels needs sides divisible by {2**levels}, received images of {height}x{width}"
            )
        self.logit = Logit(margin)
        self.levels = nn.ModuleList()
        self.shapes: list[tuple[int, int, int]] = []
        """Of what leaves at each level."""
        for level in range(1, levels + 1):
            channels, height, width = 4 * channels, height // 2, width // 2
            layers: list[Invertible] = [Squeeze()]
            for _ in range(steps):
                layers += [ActNorm(channels), Mixing(channels), Coupling(channels, hidden)]
            if level < levels:
                layers.append(Coupling(channels, hidden))  # the half that it changes is the one that leaves
                channels //= 2
            self.levels.append(Chain(layers))
            self.shapes.append((channels, height, width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents and log |det| of the Jacobian, `(B,)`."""
        x, total = self.logit(x)
        latents: list[Tensor] = []
        for level, chain in enumerate(self.levels):
            if level:
                x, gone = x.chunk(2, dim=1)
                latents.append(gone.flatten(1))
            x, log_det = chain(x)
            total = total + log_det
        return torch.cat([*latents, x.flatten(1)], 1), total

    def inverse(self, z: Tensor) -> Tensor:
        """Return the images whose latents are `z`. Where these are unlikely, they may lie outside of [0, 1]."""
        sizes = [math.prod(shape) for shape in self.shapes]
        parts = [part.view(-1, *shape) for part, shape in zip(torch.split(z, sizes, 1), self.shapes, strict=True)]
        x = parts.pop()
        for level, chain in reversed(list(enumerate(self.levels))):
            assert isinstance(chain, Invertible)
            x = chain.inverse(x)
            if level:
                x = torch.cat([x, parts.pop()], 1)
        return self.logit.inverse(x)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Let each layer begin with what it takes from examples `(B, C, H, W)` in [0, 1]."""
        x, _ = self.logit(x)
        for level, chain in enumerate(self.levels):
            assert isinstance(chain, Invertible)
            x = chain.fit(x.chunk(2, dim=1)[0] if level else x)
