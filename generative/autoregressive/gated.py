"""The gated PixelCNN (van den Oord et al. 2016, 'Conditional image generation with PixelCNN decoders', section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import ConfigError

# Dimensions: B images, H W of a map, F filters, K logits of a pixel.

GAIN = 2.0
"""Of the first weights. The gate halves what passes it, and nothing leads around it in the vertical stack."""


class MaskedConv(nn.Conv2d):
    """A convolution that keeps the size of a map, `(B, in_channels, H, W)`, and sees only a part of its surroundings.

    Args:
        in_channels: of the map that is given.
        out_channels: of the map that is returned.
        kernel: height and width, which are odd.
        seen: rows and columns of the kernel, from its upper left corner, whose weights are not 0.
        dilation: distance of the pixels that neighbouring weights see.
    """

    mask: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], *, seen: tuple[int, int], dilation: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, padding="same", dilation=dilation)
        self.seen = seen
        self.register_buffer("mask", torch.zeros(kernel), persistent=False)
        self.mask[: seen[0], : seen[1]] = 1
        nn.init.normal_(self.weight, std=GAIN * (3 * in_channels * seen[0] * seen[1]) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding="same", dilation=self.dilation)

    @property
    def before(self) -> tuple[int, int]:
        """Rows above and columns on the left that it sees: as many zeros stand before the map."""
        height, width = (size // 2 * step for size, step in zip(self.kernel_size, self.dilation, strict=True))
        return height, width

    def at(self, window: Tensor) -> Tensor:
        """Return the same for the places whose surroundings are `window`: `(B, in_channels, *seen)` for one place, and
        wider for several that lie side by side. Only the columns in it may be dilated: rows are given without those
        that are not seen."""
        weight = self.weight[:, :, : self.seen[0], : self.seen[1]]
        return F.conv2d(window, weight, self.bias, dilation=(1, self.dilation[1]))


class GatedLayer(nn.Module):
    """One layer of figure 2. The vertical stack sees the rows above a pixel. The horizontal stack sees the pixels on
    its left and what the vertical stack makes of the rows above, so that no earlier pixel is hidden from it.

    Args:
        in_channels: of what both stacks are given.
        filters: of what both stacks return, F.
        kernel: side of the vertical kernel and width of the horizontal one; odd.
        dilation: distance of the pixels that neighbouring weights see.
        first: whether the layer is given the image. Then the vertical stack does not see the row of the pixel, the
            horizontal one does not see the pixel, and there is no residual connection.
        classes: that an image may have; None where they are not given.
        context: channels of a map that is given with each image; None where there is none.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: int,
        *,
        dilation: int = 1,
        first: bool = False,
        classes: int | None = None,
        context: int | None = None,
    ) -> None:
        super().__init__()
        half = kernel // 2 if first else kernel // 2 + 1
        wide = 2 * filters
        self.first = first
        self.vertical = MaskedConv(in_channels, wide, (kernel, kernel), seen=(half, kernel), dilation=dilation)
        self.horizontal = MaskedConv(in_channels, wide, (1, kernel), seen=(1, half), dilation=dilation)
        self.link = nn.Conv2d(wide, wide, 1)
        self.output = nn.Conv2d(filters, filters, 1)
        self.condition: nn.Module | None = None
        if classes is not None:
            self.condition = nn.Embedding(classes, 2 * wide)
        elif context is not None:
            self.condition = nn.Conv2d(context, 2 * wide, 1)

    def forward(self, above: Tensor, left: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return both stacks after this layer, `(B, F, H, W)` each, for those before it and what is given: classes
        `(B,)`, or a map `(B, context, H, W)`."""
        above, link = self.from_above(self.vertical(above), self.told(given))
        return above, self.from_left(self.horizontal(left) + link, left)

    def told(self, given: Tensor | None) -> Tensor | None:
        """Return what is added in both gates for what is given: V h of equations 4 and 5, `(B, 4 F, 1, 1)` for classes
        and `(B, 4 F, H, W)` for a map."""
        if self.condition is None:
            return None
        told: Tensor = self.condition(given)
        return told if told.ndim == 4 else told[:, :, None, None]

    def from_above(self, seen: Tensor, told: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the vertical stack after this layer, and what it adds to the horizontal one, for what the vertical
        kernel gives and for what `told` returns."""
        link = self.link(seen)
        if told is not None:
            for_above, for_left = told.chunk(2, 1)
            seen, link = seen + for_above, link + for_left
        return gate(seen), link

    def from_left(self, seen: Tensor, left: Tensor) -> Tensor:
        """Return the horizontal stack after this layer, for the sum in its gate and the stack before it."""
        out: Tensor = self.output(gate(seen))
        return out if self.first else out + left


def gate(x: Tensor) -> Tensor:
    """Return tanh of the first half of the channels times the sigmoid of the second half (equation 2)."""
    value, share = x.chunk(2, 1)
    return value.tanh() * share.sigmoid()


class GatedPixelCNN(nn.Module):
    """Logits for every pixel of an image, which depend on the pixels before it alone: those in the rows above, and
    those on its left. `generative.autoregressive.raster` draws images from it.

    Args:
        vocab: categories of a pixel, for maps of codes; None for binary pixels.
        filters: of each layer, F.
        layers: their number.
        kernel: side of the kernels; odd.
        first_kernel: side of the first layer's kernels; odd.
        dilations: of the layers after the first, in turn.
        classes: that an image may have; None where they are not given.
        context: channels of a map of the image's size that is given with each image, instead of a class; None where
            there is none.

    Raises ConfigError for kernels with an even side.
    """

    def __init__(
        self,
        *,
        vocab: int | None = None,
        filters: int = 16,
        layers: int = 7,
        kernel: int = 3,
        first_kernel: int = 7,
        dilations: Sequence[int] = (1,),
        classes: int | None = None,
        context: int | None = None,
    ) -> None:
        super().__init__()
        for name, side in {"kernel": kernel, "first_kernel": first_kernel}.items():
            if side % 2 == 0 or side < 3:
                raise ConfigError(f"{name} must be an odd number of at least 3, received {side}")
        self.vocab, self.classes, self.context = vocab, classes, context
        self.embedding = nn.Embedding(vocab, filters) if vocab else None
        layer = partial(GatedLayer, filters=filters, classes=classes, context=context)
        self.layers = nn.ModuleList([layer(filters if vocab else 1, kernel=first_kernel, first=True)])
        for i in range(layers - 1):
            self.layers.append(layer(filters, kernel=kernel, dilation=dilations[i % len(dilations)]))
        wide = 2 * filters
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(filters, wide, 1), nn.ReLU(), nn.Conv2d(wide, vocab or 1, 1))

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Return logits `(B, K, H, W)`: for binary pixels `x` `(B, 1, H, W)` with K = 1, for codes `x` `(B, H, W)` with
        as many as there are categories. `given` are the classes `(B,)` or the map `(B, context, H, W)`."""
        above = left = self.embed(x)
        for layer in self.layers:
            above, left = layer(above, left, given)
        return self.head(left)  # type: ignore[no-any-return]

    def embed(self, x: Tensor) -> Tensor:
        """Return pixels or codes as a map for the first layer. Pixels become -1 and 1, as 0 stands beyond the edge."""
        return 2 * x - 1 if self.embedding is None else self.embedding(x).movedim(-1, 1)

    def nll(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Return -log p(x) in nats, `(B,)`, which is exact."""
        logits = self(x, given)
        if self.vocab is None:
            return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        return F.cross_entropy(logits, x, reduction="none").flatten(1).sum(1)
