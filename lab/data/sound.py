"""One sound: its samples, and the same as a wav file."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

import torch
from torch import Tensor

LOUDEST = 32_767  # of 16-bit samples


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono sound.

    Args:
        samples: `(T,)`, float, in [-1, 1]; what is outside is clipped where it is written.
        rate: samples per second.
    """

    samples: Tensor
    rate: int

    def wav(self) -> bytes:
        """Return it as a wav file of 16-bit samples."""
        levels = self.samples.detach().float().cpu().flatten().clamp(-1, 1).mul(LOUDEST).round().to(torch.int16)
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(self.rate)
            out.writeframes(levels.numpy().astype("<i2").tobytes())
        return file.getvalue()
