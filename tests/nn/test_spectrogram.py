"""Log-mel spectrograms equal their definition, and padding changes nothing in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import stft
from torch import Tensor

from lab.errors import ConfigError
from lab.nn.spectrogram import FLOOR, LogMelSpectrogram, hertz_to_mel, mel_filters

RATE = 8_000


def sound(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_frames_are_those_of_scipy() -> None:
    """1,000 samples are 11 windows of 200 with a hop of 80."""
    x = sound(1_000)
    _, _, spectrum = stft(
        x.double().numpy(), window="hann", nperseg=200, noverlap=120, nfft=256, boundary=None, padded=False
    )
    energies = np.abs(spectrum * 100).T ** 2  # scipy divides by the sum of the window
    expected = np.log(energies @ mel_filters(40, 129, RATE).double().numpy() + FLOOR)
    found, real = LogMelSpectrogram(RATE, normalise="none")(x[None])
    assert real is None
    assert torch.allclose(found[0].double(), torch.from_numpy(expected), atol=1e-3)


def test_mel_is_about_hertz_at_a_thousand() -> None:
    """1,000 Hz are 1,000 mel by definition; an octave above is less than twice that."""
    assert hertz_to_mel(1_000) == pytest.approx(1_000, abs=0.1)
    assert hertz_to_mel(2_000) == pytest.approx(2595 * math.log10(1 + 2_000 / 700))


def test_filters_are_triangles() -> None:
    """Between the first and the last peak, the filters of every frequency add up to one."""
    filters = mel_filters(20, 257, RATE)
    assert filters.shape == (257, 20)
    peaks = filters.argmax(0)
    assert (peaks.diff() > 0).all()
    assert torch.allclose(filters[peaks[0] + 1 : peaks[-1]].sum(1), torch.ones(1), atol=1e-5)
    assert ((filters > 0).sum(1) <= 2).all()


def test_tone_is_in_its_band() -> None:
    at = torch.arange(RATE) / RATE
    tone = torch.sin(2 * math.pi * 1_000 * at)
    bands = LogMelSpectrogram(RATE, normalise="none")(tone[None])[0].mean((0, 1))
    corners = torch.linspace(0, hertz_to_mel(RATE / 2), 42)[1:-1]
    assert int(bands.argmax()) == int((corners - 1_000).abs().argmin())


@pytest.mark.parametrize("normalise", ["bands", "example", "none"])
@pytest.mark.parametrize("length", [50, 200, 201, 279, 280, 281, 1_234])
def test_padding_changes_nothing(normalise: str, length: int) -> None:
    spectrogram = LogMelSpectrogram(RATE, normalise=normalise)  # type: ignore[arg-type]
    x = sound(length)
    alone, _ = spectrogram(x[None])
    batch = torch.full((2, 1_500), 0.7)  # what stands in the padding does not matter
    batch[0, :length], batch[1] = x, sound(1_500, seed=1)
    padded, real = spectrogram(batch, torch.arange(1_500) < torch.tensor([[length], [1_500]]))
    assert real.sum(1).tolist() == [spectrogram.frames(length), spectrogram.frames(1_500)]
    assert torch.allclose(padded[0, real[0]], alone[0], atol=1e-5)
    assert not padded[0, ~real[0]].any()


def test_normalised_over_real_frames() -> None:
    x, mask = torch.stack([sound(4_000), sound(4_000, seed=1)]), torch.ones(2, 4_000, dtype=torch.bool)
    mask[0, 2_000:] = False
    for normalise, axes in (("bands", (0,)), ("example", (0, 1))):
        frames, real = LogMelSpectrogram(RATE, normalise=normalise)(x, mask)  # type: ignore[arg-type]
        for one, kept in zip(frames, real, strict=True):
            assert torch.allclose(one[kept].mean(axes), torch.zeros(1), atol=1e-4)
            assert torch.allclose(one[kept].std(axes, correction=0), torch.ones(1), atol=1e-2)


def test_loudness_is_taken_out() -> None:
    spectrogram, x = LogMelSpectrogram(RATE), sound(4_000)[None] * 10
    assert torch.allclose(spectrogram(x)[0], spectrogram(2 * x)[0], atol=1e-3)


def test_too_many_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match="128 mel bands are too many for 129 frequencies up to 4000 Hz"):
        LogMelSpectrogram(RATE, mels=128)
    with pytest.raises(ConfigError, match=r"hop must be above 0 and at most the window of 0\.025 s, received 0\.1 s"):
        LogMelSpectrogram(RATE, hop=0.1)
    with pytest.raises(
        ConfigError, match=r"10 samples per second are too few for a spectrogram with windows of 0\.025 s"
    ):
        LogMelSpectrogram(10)
