"""What a model is told about its data before it is built."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lab.errors import ConfigError


@dataclass(frozen=True)
class InputSpec:
    """What one example looks like, without the batch dimension.

    Args:
        shape: `(C, H, W)` for images, `(T, F)` for sequences, `(F,)` for vectors.
        dtype: how the model sees it, `float32` or `int64` (token ids).
        vocab: number of token ids, for `int64` input.
        sample_rate: samples per second, for audio.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    vocab: int | None = None
    sample_rate: int | None = None

    @property
    def size(self) -> int:
        """Numbers in one example."""
        return math.prod(self.shape)

    def require_image(self, who: str) -> tuple[int, int, int]:
        """Return `(C, H, W)`, or raise ConfigError when this is not the shape of an image."""
        if len(self.shape) != 3:
            raise ConfigError(f"{who} needs images of shape (C, H, W), but the input has shape {self.shape}")
        channels, height, width = self.shape
        return channels, height, width


Spec = InputSpec | dict[str, InputSpec]
"""What an example of one part looks like, or of several, each with its name."""


def require_one_input(spec: Spec, who: str) -> None:
    """Raise ConfigError where an example has several parts."""
    if isinstance(spec, dict):
        raise ConfigError(
            f"{who} takes inputs of one part, but there are several: {', '.join(sorted(spec))}; Combined has an "
            "encoder for each, and no memory"
        )


def shapes(spec: Spec) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    """Return the shape, or that of each part."""
    return spec.shape if isinstance(spec, InputSpec) else {key: part.shape for key, part in spec.items()}


@dataclass(frozen=True)
class DataSpec:
    """What a data set offers a model: the input, and the number of classes where examples are labelled."""

    input: InputSpec
    classes: int | None = None
