"""The U-Net (Ronneberger et al. 2015) of residual blocks, which may be told a condition (Ho et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.config.types import NonNegativeInt, PositiveInt, Probability
from lab.errors import ConfigError
from lab.nn.layers import normalisation
from lab.nn.sequences.attention import SelfAttention

# Dimensions: B images, C channels of a map, H W its sides, K numbers of a condition.


class ResidualBlock(nn.Module):
    """Norm, SiLU and 3x3 convolution, twice, and a shortcut: `(B, C, H, W) -> (B, C', H, W)`.

    A condition scales and shifts the maps between the two (adaptive group norm: Dhariwal & Nichol 2021, section 3). The
    second convolution begins at 0, and the block as its shortcut.
    """

    def __init__(self, in_channels: int, channels: int, condition: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(
            *normalisation("group", in_channels), nn.SiLU(), nn.Conv2d(in_channels, channels, 3, padding=1)
        )
        (self.norm,) = normalisation("group", channels)
        self.condition = nn.Linear(condition, 2 * channels) if condition else None
        self.second = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(channels, channels, 3, padding=1))
        _start_at_zero(self.second[-1])
        self.shortcut = nn.Conv2d(in_channels, channels, 1) if in_channels != channels else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        h = self.norm(self.first(x))
        if self.condition is not None:
            scale, shift = self.condition(condition)[..., None, None].chunk(2, dim=1)  # (B, C', 1, 1) each
            h = h * (1 + scale) + shift
        return self.shortcut(x) + self.second(h)  # type: ignore[no-any-return]


class MapAttention(nn.Module):
    """Every place of a map looks at all others, and a shortcut: `(B, C, H, W) -> (B, C, H, W)`."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        (self.norm,) = normalisation("group", channels)
        self.attention = SelfAttention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        steps = self.norm(x).flatten(2).transpose(1, 2)  # (B, H W, C)
        return x + self.attention(steps).transpose(1, 2).view_as(x)  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Maps images `(B, in_channels, H, W)` to maps of the same sides, `(B, out_channels, H, W)`.

    Residual blocks at each resolution go down to the coarsest one and up again, and the way up sees what the way down
    has made at the same resolution. Each resolution has half the sides of the one before, rounded up: images of any
    size will do. The last layer begins at 0, and so does the result.

    Args:
        in_channels: of the input.
        out_channels: of the result.
        condition: numbers of the condition that each image comes with, `(B, condition)`; 0 for none.
        channels: of the maps at each resolution, fine to coarse, multiples of 8.
        blocks: residual blocks at each resolution, on either way.
        heads: of the attention at the coarsest resolution; 0 for none.
        patch: side of the squares of pixels that are one place of the finest map. With 2, a network is about twice as
            fast as one whose finest map is the image.
        dropout: probability of dropping a number of a map, in each block.

    Raises ConfigError where there are no channels, or they are no multiples of 8.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        condition: int = 0,
        *,
        channels: Sequence[PositiveInt] = (16, 32, 64),
        blocks: PositiveInt = 1,
        heads: NonNegativeInt = 0,
        patch: PositiveInt = 1,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        if not channels:
            raise ConfigError("UNet needs the channels of at least one resolution, received none")

        def block(before: int, after: int) -> ResidualBlock:
            return ResidualBlock(before, after, condition, dropout)

        self.patch = patch
        self.stem = nn.Conv2d(in_channels * patch**2, channels[0], 3, padding=1)
        self.down = nn.ModuleList(nn.ModuleList(block(count, count) for _ in range(blocks)) for count in channels)
        self.shrink = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(channels)
        )
        widest = channels[-1]
        self.before, self.after = block(widest, widest), block(widest, widest)
        self.attention = MapAttention(widest, heads) if heads else nn.Identity()
        # From here on coarse to fine. Each block also sees the map that its counterpart on the way down has made.
        back = channels[::-1]
        self.up = nn.ModuleList(nn.ModuleList(block(2 * count, count) for _ in range(blocks)) for count in back)
        # A 1x1 convolution before the map is enlarged gives the same as after it, at a quarter of the cost.
        self.grow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for coarse, fine in pairwise(back))
        self.output = nn.Sequential(
            *normalisation("group", channels[0]),
            nn.SiLU(),
            nn.Conv2d(channels[0], out_channels * patch**2, 3, padding=1),
        )
        _start_at_zero(self.output[-1])

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return `(B, out_channels, H, W)` for images `(B, in_channels, H, W)` and conditions `(B, K)`."""
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % self.patch, 0, -height % self.patch))
        h = self.stem(F.pixel_unshuffle(x, self.patch))  # (B, C, H / patch, W / patch)
        seen: list[Tensor] = []
        for level, blocks in enumerate(self.down):
            if level:
                h = self.shrink[level - 1](h)
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, condition)
                seen.append(h)
        h = self.after(self.attention(self.before(h, condition)), condition)
        for level, blocks in enumerate(self.up):
            if level:
                h = F.interpolate(self.grow[level - 1](h), size=seen[-1].shape[2:], mode="nearest")
            for block in blocks:  # type: ignore[attr-defined]
                h = block(torch.cat([h, seen.pop()], 1), condition)
        return F.pixel_shuffle(self.output(h), self.patch)[..., :height, :width]


UNetFactory = Callable[[int, int, int], UNet]
"""How a config gives a U-Net: the class with its settings. It is called with the channels of input and result, and the
numbers of the condition."""


def _start_at_zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
