"""Invertible layers of images: each maps `(B, C, H, W)` to as many numbers, with the logarithm of its determinant."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Invertible(nn.Module, ABC):
    """A bijection of images with a tractable Jacobian."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `x` becomes, and log |det| of the Jacobian, `(B,)` or a number that is the same for all."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """Return what becomes `z`."""

    def fit(self, x: Tensor) -> Tensor:
        """Take from examples `(B, C, H, W)` what the layer begins with; return what they become."""
        return self(x)[0]  # type: ignore[no-any-return]


class Logit(Invertible):
    """logit(a + (1 - 2 a) x) of images in [0, 1] (Dinh et al. 2017, section 4.1).

    Args:
        margin: a, which keeps black and white from infinity.
    """

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inner = self.margin + (1 - 2 * self.margin) * x
        slope = math.log(1 - 2 * self.margin) - inner.log() - (-inner).log1p()
        return inner.logit(), slope.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        return (z.sigmoid() - self.margin) / (1 - 2 * self.margin)


class Squeeze(Invertible):
    """Squares of 2x2 pixels become places with four times the channels (Dinh et al. 2017, section 3.6)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(x, 2), x.new_zeros(())

    def inverse(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(z, 2)


class ActNorm(Invertible):
    """Scales and shifts each channel; it begins with mean 0 and deviation 1 (Kingma & Dhariwal 2018, section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (x + self.shift) * self.log_scale.exp(), self.log_scale.sum() * x.shape[2] * x.shape[3]

    def inverse(self, z: Tensor) -> Tensor:
        return z * (-self.log_scale).exp() - self.shift

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(x, (0, 2, 3), keepdim=True)
        self.shift.copy_(-mean[0])
        self.log_scale.copy_(-deviation[0].clamp(min=1e-6).log())
        return super().fit(x)


class Mixing(Invertible):
    """A 1x1 convolution that mixes the channels, kept as P L U; it begins as a rotation (Kingma & Dhariwal 2018,
    section 3.2)."""

    order: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        order, lower, upper = torch.linalg.lu(rotation)
        self.register_buffer("order", order)
        self.register_buffer("signs", upper.diagonal().sign())
        self.log_diagonal = nn.Parameter(upper.diagonal().abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def weight(self) -> Tensor:
        """Return the matrix, `(C, C)`."""
        unit = torch.eye(len(self.signs), device=self.signs.device)
        upper = self.upper.triu(1) + torch.diag(self.signs * self.log_diagonal.exp())
        return self.order @ (self.lower.tril(-1) + unit) @ upper

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = F.conv2d(x, self.weight()[..., None, None])
        return z, self.log_diagonal.sum() * x.shape[2] * x.shape[3]

    def inverse(self, z: Tensor) -> Tensor:
        # In float64: the inverse of a matrix that is nearly singular loses half of the digits.
        back = torch.linalg.inv(self.weight().double()).to(z)
        return F.conv2d(z, back[..., None, None])


class Coupling(Invertible):
    """Scales and shifts one half of the channels by what a network makes of the other (Dinh et al. 2017, equations 7
    and 8). It begins as the identity.

    Args:
        channels: of the image, an even number.
        hidden: channels inside the network.
        largest: limit of the logarithm of a scale, either way.
    """

    def __init__(self, channels: int, hidden: int, largest: float = 3.0) -> None:
        super().__init__()
        self.largest = largest
        self.network = nn.Sequential(
            nn.Conv2d(channels // 2, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 3, padding=1),
        )
        for parameter in self.network[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        given, changed = x.chunk(2, dim=1)
        log_scale, shift = self._change(given)
        return torch.cat([given, (changed + shift) * log_scale.exp()], 1), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        given, changed = z.chunk(2, dim=1)
        log_scale, shift = self._change(given)
        return torch.cat([given, changed * (-log_scale).exp() - shift], 1)

    def _change(self, given: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.network(given).chunk(2, dim=1)
        return self.largest * (raw / self.largest).tanh(), shift


class Chain(Invertible):
    """Layers one after the other."""

    def __init__(self, layers: Iterable[Invertible]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for layer in self.layers:
            x, log_det = layer(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        for layer in reversed(list(self.layers)):
            assert isinstance(layer, Invertible)
            z = layer.inverse(z)
        return z

    def fit(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            assert isinstance(layer, Invertible)
            x = layer.fit(x)
        return x
