"""The Vision Transformer: an image as a sequence of patches."""

from __future__ import annotations

from torch import Tensor, nn

from lab.config.roles import Roles
from lab.config.types import PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.sequences.positions import LearnedPositions
from lab.nn.sequences.transformer import TransformerBlocks

DEVIATION = 0.02
"""Standard deviation of the initial vectors of positions (Dosovitskiy et al. 2021, appendix)."""


class ViT(Encoder):
    """Patches of an image, each as one vector with a learned position, through Transformer blocks, and their mean
    (Dosovitskiy et al. 2021; mean pooling by Beyer et al. 2022).

    Args:
        patch: side of a patch in pixels; it must divide the sides of the image.
        width: features of a patch, and `features_dim`.
        layers: number of blocks.
        heads: of each block's attention; the width must be divisible by them.
        overlap: pixels by which the patches overlap on each side, so that edges between them are seen (Xiao et al. 2021
            have a convolutional stem for it); 0 as in the paper.
        dropout: probability of dropping a patch's feature, an attention weight, or an output of a block's parts.
        shared: whether all blocks have the same weights (Lan et al. 2020).
    """

    roles = Roles(added={"shared": False})

    def __init__(
        self,
        spec: InputSpec,
        *,
        patch: PositiveInt = 4,
        width: PositiveInt = 64,
        layers: PositiveInt = 4,
        heads: PositiveInt = 4,
        overlap: int = 0,
        dropout: Probability = 0.0,
        shared: bool = False,
    ) -> None:
        require_one_input(spec, "ViT")
        super().__init__(spec)
        channels, height, side = spec.require_image("ViT")
        if height % patch or side % patch:
            raise ConfigError(f"patches of {patch} pixels do not divide images of {height}x{side}")
        if not 0 <= overlap < patch:
            raise ConfigError(f"patches of {patch} pixels overlap by 0 to {patch - 1} pixels, received {overlap}")
        self.rows, self.columns, self.features_dim = height // patch, side // patch, width
        self.patches = nn.Conv2d(channels, width, patch + 2 * overlap, patch, overlap)
        self.positions = LearnedPositions(self.rows * self.columns, width)
        nn.init.normal_(self.positions.weight, std=DEVIATION)
        self.dropout = nn.Dropout(dropout)
        self.blocks = TransformerBlocks(width, layers, heads, dropout=dropout, shared=shared)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self._seen(x, mask).mean(1)

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the output for each patch as a map, `(B, width, H / patch, W / patch)`."""
        return self._seen(x, mask).transpose(1, 2).reshape(len(x), -1, self.rows, self.columns)

    def _seen(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the patches after the last block, `(B, N, width)`."""
        self.refuse_mask(mask)
        steps = self.positions(self.patches(x).flatten(2).transpose(1, 2))
        seen: Tensor = self.blocks(self.dropout(steps))
        return seen
