"""What image encoders in stages have in common: a stem, stages, pooling, dense layers, and a mirror."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.nn.decoders import ConvDecoder, Decoder, MapDecoder
from lab.nn.layers import Activation, Norm, dense
from lab.nn.pooling import ImagePool, pool_image, pooled_size

MapShape = tuple[int, int, int]
"""Channels, height and width of a map."""


class Staged(Encoder):
    """Base of encoders that turn an image into ever coarser maps. A subclass sets `stem` where it has one, calls
    `add_stage` for each stage, and `end` last.

    Args:
        activation: of the layers, and of the mirror's.
        norm: of the stages; the mirror has batch norm where this is `batch`.
        pool: of the last map to a vector.
    """

    stem: nn.Module

    def __init__(self, spec: InputSpec, *, activation: Activation, norm: Norm, pool: ImagePool) -> None:
        who = type(self).__name__
        require_one_input(spec, who)
        super().__init__(spec)
        self.activation, self.norm, self.pool = activation, norm, pool
        self.shapes: list[MapShape] = [spec.require_image(who)]
        """Of each stage's input, and last of the last stage's output."""
        self.kernels: list[int] = []
        self.hidden: list[int] = []
        self.stem = nn.Identity()
        self.blocks = nn.ModuleList()

    def add_stage(self, block: nn.Module, shape: MapShape, *, kernel: int) -> None:
        """Add a stage whose output has `shape`; `kernel` is the side of its convolutions."""
        self.blocks.append(block)
        self.shapes.append(shape)
        self.kernels.append(kernel)

    def end(self, hidden: Sequence[int] = (), *, dropout: float = 0.0) -> None:
        """Add the dense layers after pooling, and set `features_dim`."""
        pooled = pooled_size(self.shapes[-1], self.pool)
        self.hidden = list(hidden)
        self.dense = dense(pooled, self.hidden, self.activation, dropout=dropout)
        self.features_dim = self.hidden[-1] if self.hidden else pooled

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.dense(pool_image(self.features(x, mask), self.pool))  # type: ignore[no-any-return]

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map after the last stage, `(B, C, H, W)`."""
        self.refuse_mask(mask)
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the map after each stage, fine to coarse: `(B, C_i, H_i, W_i)`."""
        x = self.stem(x)
        maps: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps

    def mirror_of_map(self) -> MapDecoder:
        """Return a decoder from maps like those of the last stage, `(B, C, H, W)`, to logits of `spec.shape`."""
        return MapDecoder(
            self.shapes[::-1], self.kernels[::-1], activation=self.activation, batch_norm=self.norm == "batch"
        )

    def mirror(self, in_features: int, *, batch_norm: bool | None = None) -> Decoder:
        return ConvDecoder(
            self.spec,
            in_features,
            shapes=self.shapes[::-1],
            kernels=self.kernels[::-1],
            hidden=self.hidden[::-1],
            activation=self.activation,
            batch_norm=self.norm == "batch" if batch_norm is None else batch_norm,
        )
