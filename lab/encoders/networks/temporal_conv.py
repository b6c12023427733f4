"""Residual convolutions over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.config.types import PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.pooling import SequencePool, pool_sequence


class TemporalBlock(nn.Module):
    """Two convolutions over time and a shortcut, with the norm first (He et al. 2016): `(B, T, C) -> (B, T', C')`.

    The norm is over the channels of each step (Ba et al. 2016), so that neither padding nor other examples enter it.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, *, kernel: int, dropout: float) -> None:
        super().__init__()
        self.stride = stride
        self.norms = nn.ModuleList([nn.LayerNorm(in_channels), nn.LayerNorm(channels)])
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(in_channels, channels, kernel, stride, kernel // 2),
                nn.Conv1d(channels, channels, kernel, 1, kernel // 2),
            ]
        )
        self.dropout = nn.Dropout(dropout)
        changes = stride != 1 or in_channels != channels
        self.shortcut = nn.Linear(in_channels, channels) if changes else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the steps, and which of them are real, `(B, T')`."""
        shortened = mask if mask is None else mask[:, :: self.stride]
        hidden = _convolved(self.convolutions[0], torch.relu(self.norms[0](x)), mask)
        hidden = self.dropout(torch.relu(self.norms[1](hidden)))
        hidden = _convolved(self.convolutions[1], hidden, shortened)
        return self.shortcut(x[:, :: self.stride]) + hidden, shortened


class TemporalConv(Encoder):
    """Residual blocks of convolutions over the time of a sequence `(T, F)`; each stage after the first halves it.

    Sequences may be shorter than T, and have a mask that leaves out steps at the end.

    Args:
        channels: of each stage.
        blocks: residual blocks in each stage.
        kernel: steps that a convolution sees; odd.
        dropout: probability of dropping a number between the two convolutions of a block.
        pool: of the sequence to one vector.
    """

    takes_masks = True

    def __init__(
        self,
        spec: InputSpec,
        *,
        channels: Sequence[PositiveInt] = (64, 128, 128),
        blocks: PositiveInt = 1,
        kernel: PositiveInt = 5,
        dropout: Probability = 0.0,
        pool: SequencePool = "mean",
    ) -> None:
        require_one_input(spec, "TemporalConv")
        super().__init__(spec)
        if spec.dtype != "float32" or len(spec.shape) != 2:
            raise ConfigError(
                f"TemporalConv needs sequences (T, F), but the input is {spec.dtype} of shape {spec.shape}"
            )
        if not channels:
            raise ConfigError("TemporalConv needs at least one stage of channels, received none")
        if kernel % 2 == 0:
            raise ConfigError(f"TemporalConv needs an odd kernel, received {kernel}")
        self.pool: SequencePool = pool
        self.stem = nn.Conv1d(spec.shape[1], channels[0], kernel, 1, kernel // 2)
        self.blocks = nn.ModuleList()
        previous = channels[0]
        for i, count in enumerate(channels):
            for j in range(blocks):
                stride = 2 if i and not j else 1
                self.blocks.append(TemporalBlock(previous, count, stride, kernel=kernel, dropout=dropout))
                previous = count
        self.norm = nn.LayerNorm(previous)
        self.features_dim = previous

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return pool_sequence(*self._encoded(x, mask), self.pool)

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the steps after the last stage, `(B, T', channels)`. They mean nothing where the mask is false."""
        return self._encoded(x, mask)[0]

    def features_mask(self, mask: Tensor) -> Tensor:
        for block in self.blocks:
            mask = mask[:, :: block.stride]
        return mask

    def _encoded(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        mask = mask if mask is None else mask.bool()
        x = _convolved(self.stem, x, mask)
        for block in self.blocks:
            x, mask = block(x, mask)
        return torch.relu(self.norm(x)), mask


def _convolved(convolution: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Convolve steps `(B, T, C)`. Those where the mask is false are 0, as the padding at both ends is."""
    if mask is not None:
        x = x.masked_fill(~mask[..., None], 0)
    return convolution(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]
