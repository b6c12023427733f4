"""Images drawn from a gated PixelCNN pixel by pixel: row after row, each from left to right."""

from __future__ import annotations

import torch
from torch import Tensor

from generative.autoregressive.gated import GatedLayer, GatedPixelCNN
from lab.nn.sequences import sampling

# Dimensions: B images, C channels, F filters, H W of a map, K logits of a pixel.


@torch.no_grad()
def draw(
    network: GatedPixelCNN,
    start: Tensor,
    given: Tensor | None = None,
    *,
    first_row: int = 0,
    temperature: float = 1.0,
) -> Tensor:
    """Return images like `start` whose rows from `first_row` on are drawn anew, by torch's global generator.

    Nothing is computed twice, as each layer remembers what it was given. An image costs about as much as `forward`.

    Args:
        network: the model of the images.
        start: pixels `(B, 1, H, W)` in {0, 1}, or codes `(B, H, W)`.
        given: classes `(B,)`, or a map `(B, context, H, W)`, where the network is given them.
        first_row: the first row that is drawn; those above it stay as they are.
        temperature: divides the logits. Less than 1 makes probable pixels more probable.
    """
    x = start.clone()
    pixels = x if network.vocab is None else x.unsqueeze(1)  # (B, 1, H, W), in the same memory
    height, width = pixels.shape[2:]
    memories = [Memory(layer, len(x), height, width, given) for layer in network.layers]  # type: ignore[arg-type]
    first = memories[0]
    for row in range(height):
        above = None
        for memory in memories:
            above = memory.look_above(row, above)
        for column in range(width) if row >= first_row else ():
            left = None
            for memory in memories:
                left = memory.look_left(column, left)
            pixels[:, 0, row, column] = _drawn(network.head(left).flatten(1) / temperature)
            first.keep_left(column, network.embed(x[..., row : row + 1, column : column + 1]))
        first.keep_above(row, network.embed(x[..., row : row + 1, :]))
    return x


class Memory:
    """What one layer was given: all rows of the vertical stack so far, and one row of the horizontal stack.

    Args:
        layer: that remembers.
        images: their number, B.
        height: of an image.
        width: of an image.
        given: what the network is given with the images.
    """

    def __init__(self, layer: GatedLayer, images: int, height: int, width: int, given: Tensor | None) -> None:
        self.layer, self.width = layer, width
        told = layer.told(given)
        self.told = None if told is None else told.expand(-1, -1, height, -1)
        self.top, self.side = layer.vertical.before
        self.row_step, self.column_step = layer.vertical.dilation
        channels, weight = layer.vertical.in_channels, layer.link.weight
        self.above = weight.new_zeros(images, channels, self.top + height, self.side + width + self.side)
        self.left = weight.new_zeros(images, channels, 1, self.side + width)
        self.link = weight.new_zeros(())

    def keep_above(self, row: int, given: Tensor) -> None:
        """Keep a row of the vertical stack, `(B, C, 1, W)`."""
        self.above[:, :, self.top + row, self.side : self.side + self.width] = given[:, :, 0]

    def keep_left(self, column: int, given: Tensor) -> None:
        """Keep a place of the horizontal stack, `(B, C, 1, 1)`."""
        self.left[:, :, 0, self.side + column] = given[:, :, 0, 0]

    def look_above(self, row: int, given: Tensor | None) -> Tensor:
        """Return a row of the vertical stack after this layer, `(B, F, 1, W)`, given that before it. The first layer is
        not given a row that is to be drawn."""
        if given is not None:
            self.keep_above(row, given)
        rows = self.layer.vertical.seen[0]
        window = self.above[:, :, row : row + self.row_step * (rows - 1) + 1 : self.row_step]
        told = None if self.told is None else self.told[:, :, row : row + 1]
        above, self.link = self.layer.from_above(self.layer.vertical.at(window), told)
        return above

    def look_left(self, column: int, given: Tensor | None) -> Tensor:
        """Return a place of the horizontal stack after this layer, `(B, F, 1, 1)`, given that before it. The first
        layer is not given a pixel that is to be drawn."""
        if given is not None:
            self.keep_left(column, given)
        columns = self.layer.horizontal.seen[1]
        window = self.left[:, :, :, column : column + self.column_step * (columns - 1) + 1]
        seen = self.layer.horizontal.at(window) + self.link[:, :, :, column : column + 1]
        return self.layer.from_left(seen, seen if given is None else given)


def _drawn(logits: Tensor) -> Tensor:
    """Return binary pixels or codes, `(B,)`, drawn by logits `(B, K)`."""
    if logits.shape[1] == 1:
        return torch.bernoulli(logits.sigmoid())[:, 0]
    return sampling.draw(logits)
