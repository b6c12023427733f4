"""Random changes of training sounds that keep their class: speed, noise, and silenced stretches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lab.config.types import NonNegativeFloat, Probability
from lab.data.batch import Batch


@dataclass(frozen=True)
class AugmentSound:
    """Random changes of training sounds, drawn anew for each sound in each epoch. By default there are none.

    Args:
        speed: largest share by which a sound gets faster and higher, or slower and lower (Ko et al. 2015); below 1.
        noise: largest loudness of white noise, as a share of the sound's own (root mean square).
        silence: longest stretch that is silenced, as a share of the sound (masking of time in Park et al. 2019).
    """

    speed: Probability = 0.0
    noise: NonNegativeFloat = 0.0
    silence: Probability = 0.0

    def __call__(self, batch: Batch, generator: torch.Generator, *, longest: int) -> Batch:
        """Return the batch with other sounds `(B, T)`, float32, of at most `longest` samples."""
        sounds, mask = batch.inputs, batch.mask
        assert isinstance(sounds, Tensor)
        assert isinstance(mask, Tensor)
        if self.speed:
            sounds, mask = change_speed(sounds, mask, generator, most=self.speed, longest=longest)
        if self.noise:
            sounds = add_noise(sounds, mask, generator, most=self.noise)
        if self.silence:
            sounds = silence(sounds, mask, generator, most=self.silence)
        return replace(batch, inputs=sounds, mask=mask)


def change_speed(
    sounds: Tensor, mask: Tensor, generator: torch.Generator, *, most: float, longest: int
) -> tuple[Tensor, Tensor]:
    """Play each of `(B, T)` by a factor of 1 - `most` to 1 + `most` as fast. Return the sounds and their mask."""
    factors = 1 + most * _between(-1, 1, sounds, generator)  # (B, 1)
    lengths = mask.sum(1, keepdim=True)
    changed = ((lengths - 1) / factors).long().add_(1).clamp_(max=longest)
    places = torch.arange(int(changed.max()), device=sounds.device)
    real = places < changed
    at = (places * factors).clamp(max=lengths - 1)  # in samples of the old sound, between which lines are drawn
    before = at.long()
    after = torch.minimum(before + 1, lengths - 1)
    return torch.lerp(sounds.gather(1, before), sounds.gather(1, after), at - before).masked_fill(~real, 0), real


def add_noise(sounds: Tensor, mask: Tensor, generator: torch.Generator, *, most: float) -> Tensor:
    """Add white noise to the real samples of `(B, T)`, from none up to the share `most` of how loud each sound is."""
    loudness = (sounds.square().sum(1, keepdim=True) / mask.sum(1, keepdim=True)).sqrt()
    noise = torch.randn(sounds.shape, generator=generator, device=sounds.device)
    return sounds + noise * mask * loudness * most * _between(0, 1, sounds, generator)


def silence(sounds: Tensor, mask: Tensor, generator: torch.Generator, *, most: float) -> Tensor:
    """Set one stretch of each of `(B, T)` to 0, up to the share `most` of its length."""
    lengths = mask.sum(1, keepdim=True)
    stretch = lengths * most * _between(0, 1, sounds, generator)
    begin = (lengths - stretch) * _between(0, 1, sounds, generator)
    places = torch.arange(sounds.shape[1], device=sounds.device)
    return sounds.masked_fill((places >= begin) & (places < begin + stretch), 0)


def _between(low: float, high: float, sounds: Tensor, generator: torch.Generator) -> Tensor:
    """Return one number for each sound, `(B, 1)`."""
    drawn = torch.rand(len(sounds), 1, generator=generator, device=sounds.device)
    return low + (high - low) * drawn
