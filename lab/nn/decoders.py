"""Decoders: from a vector to logits of the form of an input. They mirror the encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from lab.data.spec import InputSpec
from lab.errors import ConfigError
from lab.nn.layers import ACTIVATIONS, Activation, dense


class Decoder(nn.Module):
    """Maps `(B, in_features)` to logits `(B, *self.shape)`. The model chooses the likelihood.

    `shape` is that of the spec, for vectors, sequences and images alike. Token ids have one logit for each id, so that
    their shape is `(T, vocab)`.
    """

    def __init__(self, spec: InputSpec, in_features: int) -> None:
        super().__init__()
        self.spec = spec
        self.in_features = in_features
        self.shape = spec.shape if spec.vocab is None else (*spec.shape, spec.vocab)

    def forward(self, z: Tensor) -> Tensor:
        raise NotImplementedError


DecoderFactory = Callable[[InputSpec, int], Decoder]
"""How a config gives a decoder: a class with its settings. It is called with the spec and the number of inputs."""


class MLPDecoder(Decoder):
    """Fully connected layers of the widths in `hidden`, then one linear layer to the logits. It takes any spec."""

    def __init__(
        self,
        spec: InputSpec,
        in_features: int,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: Activation = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__(spec, in_features)
        widths = list(hidden)
        self.layers = dense(in_features, widths, activation, batch_norm=batch_norm)
        self.output = nn.Linear(widths[-1] if widths else in_features, InputSpec(self.shape).size)

    def forward(self, z: Tensor) -> Tensor:
        return self.output(self.layers(z)).unflatten(1, self.shape)  # type: ignore[no-any-return]


class ConvDecoder(Decoder):
    """Dense layers to the coarsest map, then one transposed convolution per stage (DCGAN, Radford et al. 2015). It
    needs a spec of images.

    Args:
        shapes: `(C, H, W)` of the maps, coarse to fine; the last is the image. Any sizes will do: what a
            transposed convolution makes too large is cropped.
        kernels: side of the kernel where a stage keeps its resolution, one for each stage. Stages that enlarge by `f`
            use `2f`, which divides evenly and so avoids checkerboards (Odena et al. 2016).
    """

    def __init__(
        self,
        spec: InputSpec,
        in_features: int,
        *,
        shapes: Sequence[tuple[int, int, int]],
        kernels: Sequence[int],
        hidden: Sequence[int] = (),
        activation: Activation = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__(spec, in_features)
        image = spec.require_image("ConvDecoder")
        self.shapes = [(channels, height, width) for channels, height, width in shapes]
        if not self.shapes or self.shapes[-1] != image:
            last = self.shapes[-1] if self.shapes else "none"
            raise ConfigError(f"the last of ConvDecoder's shapes must be that of the image, {image}, received {last}")
        if len(kernels) != len(self.shapes) - 1:
            raise ConfigError(
                f"ConvDecoder needs one kernel for each of its {len(self.shapes) - 1} stages, received {len(kernels)}"
            )
        widths = [*hidden, InputSpec(self.shapes[0]).size]
        self.dense = dense(in_features, widths, activation, batch_norm=batch_norm)
        self.blocks = _blocks(self.shapes, kernels, activation, batch_norm)

    def forward(self, z: Tensor) -> Tensor:
        return _enlarged(self.dense(z).unflatten(1, self.shapes[0]), self.blocks, self.shapes)


class MapDecoder(nn.Module):
    """The same stages from the coarsest map on: `(B, *shapes[0])` to logits `(B, *shapes[-1])`.

    Args:
        shapes: `(C, H, W)` of the maps, coarse to fine; the last is the image.
        kernels: as for ConvDecoder, one for each stage.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int, int]],
        kernels: Sequence[int],
        *,
        activation: Activation = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.shapes = list(shapes)
        self.blocks = _blocks(self.shapes, kernels, activation, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        return _enlarged(x, self.blocks, self.shapes)


def _blocks(
    shapes: Sequence[tuple[int, int, int]], kernels: Sequence[int], activation: Activation, batch_norm: bool
) -> nn.ModuleList:
    blocks = nn.ModuleList()
    for (before, after), kernel in zip(pairwise(shapes), kernels, strict=True):
        block = [_upsample(before, after, kernel)]
        if after != shapes[-1]:
            block += [nn.BatchNorm2d(after[0])] if batch_norm else []
            block.append(ACTIVATIONS[activation]())
        blocks.append(nn.Sequential(*block))
    return blocks


def _enlarged(maps: Tensor, blocks: nn.ModuleList, shapes: Sequence[tuple[int, int, int]]) -> Tensor:
    for block, (_, height, width) in zip(blocks, shapes[1:], strict=True):
        maps = block(maps)[..., :height, :width]
    return maps


def _upsample(before: tuple[int, int, int], after: tuple[int, int, int], kernel: int) -> nn.Module:
    """One layer from `before`'s channels and size to `after`'s channels and at least its size."""
    factor = max(-(-after[1] // before[1]), -(-after[2] // before[2]))  # rounded up: never too small
    if factor == 1:
        return nn.Conv2d(before[0], after[0], kernel, padding=kernel // 2)
    padding = factor // 2
    return nn.ConvTranspose2d(
        before[0], after[0], 2 * factor, factor, padding, output_padding=0 if factor % 2 == 0 else 1
    )
