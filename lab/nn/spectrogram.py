"""Log-mel spectrograms: what a sound looks like to the ear, in frames of a few hundredths of a second."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.errors import ConfigError

FLOOR = 1e-5
"""Is added to energies before the logarithm, so that all silence has one level. It is far above the rounding of 16-bit
samples."""

Normalise = Literal["bands", "example", "none"]


def hertz_to_mel(frequency: float) -> float:
    """Return the pitch in mel (O'Shaughnessy 1987): linear below about 1,000 Hz, and logarithmic above."""
    return 2595 * math.log10(1 + frequency / 700)


def mel_filters(mels: int, bins: int, rate: int) -> Tensor:
    """Return triangular filters from `bins` frequencies to `mels` bands, `(bins, mels)`.

    The frequencies go from 0 to half the sample rate `rate`. The corners of the triangles are spaced evenly in mel, and
    each band begins and ends at the peaks of its neighbours (Davis & Mermelstein 1980).
    Raises ConfigError where a band is too narrow to hold any frequency.
    """
    frequencies = torch.linspace(0, rate / 2, bins, dtype=torch.float64)
    corners = torch.linspace(0, hertz_to_mel(rate / 2), mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (corners / 2595) - 1)  # in Hz
    below, peak, above = edges[:-2], edges[1:-1], edges[2:]
    at = frequencies[:, None]
    filters = torch.minimum((at - below) / (peak - below), (above - at) / (above - peak)).clamp(min=0)
    if not filters.any(0).all():
        raise ConfigError(
            f"{mels} mel bands are too many for {bins} frequencies up to {rate / 2:g} Hz: a band would be empty; take "
            "fewer bands or longer windows"
        )
    return filters.float()


class LogMelSpectrogram(nn.Module):
    """Logarithms of the energies in mel bands, `(B, T) -> (B, frames, mels)`.

    Frame i is of the samples from `i * hop` on, weighted by a Hann window; the last frame is filled up with silence, so
    that no sample is left out. Where there is a mask, a sound gives the same frames with padding as without.

    Args:
        rate: samples per second.
        window: length of a frame in seconds.
        hop: from one frame to the next, in seconds.
        mels: number of bands.
        normalise: makes mean 0 and deviation 1 over the real frames of each example: in each band by itself (`bands`),
            which takes out the colour of voice and microphone; in all together (`example`), which takes out how loud it
            is; `none` leaves the logarithms.
    """

    weights: Tensor
    filters: Tensor

    def __init__(
        self, rate: int, *, window: float = 0.025, hop: float = 0.01, mels: int = 40, normalise: Normalise = "bands"
    ) -> None:
        super().__init__()
        self.window, self.hop, self.normalise = round(window * rate), round(hop * rate), normalise
        if self.window < 2:
            raise ConfigError(f"{rate:,} samples per second are too few for a spectrogram with windows of {window} s")
        if not 0 < self.hop <= self.window:
            raise ConfigError(f"hop must be above 0 and at most the window of {window} s, received {hop} s")
        self.size = 2 ** (self.window - 1).bit_length()
        # Made from the settings and therefore not saved with the weights.
        self.register_buffer("weights", torch.hann_window(self.window), persistent=False)
        self.register_buffer("filters", mel_filters(mels, self.size // 2 + 1, rate), persistent=False)

    def frames(self, samples: int) -> int:
        """Return the number of frames of a sound of this many samples."""
        return 1 + (max(0, samples - self.window) + self.hop - 1) // self.hop  # of no negative number, for ONNX

    def frames_mask(self, mask: Tensor) -> Tensor:
        """Return which frames are real, `(B, frames)`, given which samples are, `(B, T)`."""
        last = (mask.sum(1, keepdim=True) - self.window + self.hop - 1).clamp(min=0) // self.hop
        return torch.arange(self.frames(mask.shape[1]), device=mask.device) <= last

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the spectrograms and which frames are real, `(B, frames)`; None where there is no mask.

        Frames that are not real are 0.
        """
        real: Tensor | None = None
        count = self.frames(x.shape[1])
        if mask is not None:
            x = x.masked_fill(~mask.bool(), 0)
            real = self.frames_mask(mask)
        x = F.pad(x, (0, (count - 1) * self.hop + self.window - x.shape[1]))
        # By hand, because torch.stft would want the window in the middle of the longer transform.
        framed = x.unfold(1, self.window, self.hop)[:, :count] * self.weights  # (B, frames, window)
        energies = torch.fft.rfft(framed, self.size).abs().square()  # (B, frames, bins)
        bands = (energies @ self.filters + FLOOR).log()
        return self._normalised(bands, real), real

    def _normalised(self, bands: Tensor, real: Tensor | None) -> Tensor:
        kept = torch.ones_like(bands[..., :1]) if real is None else real[..., None].to(bands.dtype)
        if self.normalise != "none":
            over = (1,) if self.normalise == "bands" else (1, 2)
            count = kept.sum(1, keepdim=True) * (1 if self.normalise == "bands" else bands.shape[2])
            bands = bands - (bands * kept).sum(over, keepdim=True) / count
            variance = (bands.square() * kept).sum(over, keepdim=True) / count
            bands = bands * torch.rsqrt(variance + 1e-3)
        return bands * kept
