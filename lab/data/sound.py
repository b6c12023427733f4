"""One sound: its samples, the same as a wav file, and how a wav file is read."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from lab.errors import DataError

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


def read_wav(file: Path | BinaryIO, name: str = "") -> tuple[Tensor, int]:
    """Return the samples of a wav file, `(T,)`, int16, and how many there are per second. Channels are averaged.

    Args:
        file: its path, or the open file.
        name: of an open file, for messages.

    Raises DataError where it is missing, no wav file, empty, or has other samples than 16-bit ones.
    """
    name = name or str(file)
    try:
        with wave.open(str(file) if isinstance(file, Path) else file) as sound:
            channels, width, rate = sound.getnchannels(), sound.getsampwidth(), sound.getframerate()
            content = sound.readframes(sound.getnframes())
    except FileNotFoundError as error:
        raise DataError(f"there is no file {name}") from error
    except (wave.Error, EOFError, OSError) as error:
        raise DataError(f"{name} cannot be read as a wav file: {str(error) or 'it ends too early'}") from error
    if width != 2:
        raise DataError(f"{name} has samples of {8 * width} bits; wav files must have 16")
    levels = np.frombuffer(content[: len(content) // (2 * channels) * 2 * channels], "<i2").reshape(-1, channels)
    if not len(levels):
        raise DataError(f"{name} has no samples")
    mono = levels[:, 0] if channels == 1 else levels.mean(1).round()
    return torch.from_numpy(mono.astype(np.int16)), rate
