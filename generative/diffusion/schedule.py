"""How much of an image is left at each level of noise, and what follows from that in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

OFFSET, LARGEST = 0.008, 0.999
"""`s`, which keeps the first levels from being too small, and the largest variance added by one level (Nichol &
Dhariwal 2021, section 3.2)."""

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""Returns what the images are expected to be, `(B, ...)`, for noisy ones `(B, ...)` at levels `(B,)`."""


class CosineSchedule(nn.Module):
    """The cosine schedule of Nichol & Dhariwal (2021, equation 17), in the letters of Ho et al. (2020).

    At level t of `levels`, an image x_0 has become x_t ~ N(sqrt(abar_t) x_0, (1 - abar_t) I): level 0 is the image, and
    at the last level nothing is left of it.

    Args:
        levels: of noise, T.
    """

    signal: Tensor
    noise: Tensor
    ratio: Tensor
    beta: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        at = torch.arange(levels + 1, dtype=torch.float64) / levels
        f = ((at + OFFSET) / (1 + OFFSET) * math.pi / 2).cos().square()
        beta = (1 - f[1:] / f[:-1]).clamp(max=LARGEST)
        abar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
        # Made from the settings and therefore not saved. In float64 up to here: 1 - abar is small at first.
        for name, table in {
            "signal": abar.sqrt(),
            "noise": (1 - abar).sqrt(),
            "ratio": abar / (1 - abar),  # of signal to noise, infinite at level 0
            "beta": torch.cat([torch.zeros(1), beta]),
        }.items():
            self.register_buffer(name, table.float(), persistent=False)  # (T + 1,)

    def noised(self, x: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return x_t for images `(B, ...)`, noise of the same shape and levels t, `(B,)` (Ho et al., equation 4)."""
        return at_level(self.signal, level, x) * x + at_level(self.noise, level, x) * noise

    def velocity(self, x: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return v = sqrt(abar_t) noise - sqrt(1 - abar_t) x_0 (Salimans & Ho 2022, section 4)."""
        return at_level(self.signal, level, x) * noise - at_level(self.noise, level, x) * x

    def image_from_noise(self, noisy: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return x_0 where x_t and its noise are known."""
        return (noisy - at_level(self.noise, level, noisy) * noise) / at_level(self.signal, level, noisy)

    def image_from_velocity(self, noisy: Tensor, velocity: Tensor, level: Tensor) -> Tensor:
        """Return x_0 where x_t and its v are known."""
        return at_level(self.signal, level, noisy) * noisy - at_level(self.noise, level, noisy) * velocity

    def posterior(self, x: Tensor, noisy: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of x_{t-1} where x_0 and x_t are known (Ho et al., equations 6 and 7); t >= 1."""
        beta, before = at_level(self.beta, level, x), at_level(self.signal, level - 1, x)
        gone = at_level(self.noise, level, x).square()  # 1 - abar_t
        left = at_level(self.noise, level - 1, x).square()
        mean = before * beta / gone * x + (1 - beta).sqrt() * left / gone * noisy
        return mean, left / gone * beta

    def step(self, x: Tensor, noisy: Tensor, level: Tensor, to: Tensor) -> Tensor:
        """Return x_s for x_t and the x_0 that it is taken for; the noise stays the same (Song et al. 2021, equation 12
        with sigma = 0)."""
        noise = (noisy - at_level(self.signal, level, x) * x) / at_level(self.noise, level, x)
        return self.noised(x, noise, to)

    def ddim(self, noise: Tensor, steps: int, denoise: Denoiser) -> Iterator[Tensor]:
        """Yield x_T, which is the noise, and what becomes of it in each of `steps` steps down to x_0."""
        x, ones = noise, torch.ones(len(noise), dtype=torch.long, device=noise.device)
        yield x
        for level, to in pairwise(torch.linspace(self.levels, 0, steps + 1).round().long().tolist()):
            x = self.step(denoise(x, level * ones), x, level * ones, to * ones)
            yield x


def at_level(table: Tensor, level: Tensor, like: Tensor) -> Tensor:
    """Return the entries of a table `(T + 1,)` at levels `(B,)`, shaped to be multiplied with `like`, `(B, ...)`."""
    return table[level].view(-1, *[1] * (like.ndim - 1))
