"""How the weights of an autoencoder begin, as in Burda et al. 2016: by Glorot & Bengio 2010, and at the mean image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Initial = Literal["default", "glorot"]

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
CLIPPED = 0.001  # as in the code of Burda et al.: no probability is 0 or 1


def glorot(*modules: nn.Module) -> None:
    """Draw the weights of all dense and convolutional layers anew (Glorot & Bengio 2010, equation 16); biases are 0."""
    for layer in (layer for module in modules for layer in module.modules()):
        if isinstance(layer, LAYERS):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def mean_image(batches: Sequence[Tensor]) -> Tensor:
    """Return the mean of batches `(B, C, H, W)`, `(C, H, W)`."""
    return sum(x.sum(0) for x in batches) / sum(map(len, batches))  # type: ignore[return-value]


def begin_at(mean: Tensor, decoder: nn.Module) -> None:
    """Set the bias of the decoder's last layer, so that its pixels begin at their mean over the images, `(C, H, W)`.

    A bias for each channel, as a convolution has it, takes the mean over the pixels of the channel.
    """
    last = [layer for layer in decoder.modules() if isinstance(layer, LAYERS)][-1]
    if last.bias is not None:
        means = mean.flatten() if len(last.bias) == mean.numel() else mean.mean((1, 2))
        with torch.no_grad():
            last.bias.copy_(torch.logit(means.clamp(CLIPPED, 1 - CLIPPED)))
