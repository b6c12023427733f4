"""One sound: its samples, the same as a wav file, and how a wav file is read."""

from __future__ import annotations

import io
import math
import struct
import warnings
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.errors import DataError

LOWEST, LOUDEST = -32_768, 32_767  # of 16-bit samples
FASTEST = 1_000_000
"""Samples per second: what a damaged header says would be resampled by a filter that fits into no memory."""


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono sound.

    Args:
        samples: `(T,)`, float, in [-1, 1]; what is outside is clipped where it is written.
        rate: samples per second.
    """

    samples: Tensor
    rate: int

    @property
    def others(self) -> dict[str, bytes]:
        """Files that stand beside the wav file, by their endings; none for sound that is only known as sound."""
        return {}

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
    """Return the samples of a wav file, `(T,)`, int16, and how many there are per second. Channels are averaged, and
    samples of 8, 24, 32 or 64 bits and fractions become 16 bits.

    Args:
        file: its path, or the open file.
        name: of the file, for messages; by default its path.

    Raises DataError where it is missing, no wav file, compressed, or empty, or where its rate cannot be.
    """
    from scipy.io import wavfile  # 0.3 s; Python's own module reads no 24-bit files of other programs, and no fractions

    name = name or str(file)
    try:
        content = file.read_bytes() if isinstance(file, Path) else file.read()
        with warnings.catch_warnings():  # of parts that only other programs need, and of an end that comes early
            warnings.simplefilter("ignore")
            rate, levels = wavfile.read(io.BytesIO(content))
    except FileNotFoundError as error:
        raise DataError(f"there is no file {name}") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, struct.error, ArithmeticError, MemoryError, UnboundLocalError) as error:
        raise DataError(f"{name} cannot be read as a wav file: {_reason(content, error)}") from error
    if not levels.size:
        raise DataError(f"{name} has no samples")
    if not 0 < rate <= FASTEST:
        raise DataError(f"{name} says that it has {rate:,} samples per second; expected from 1 to {FASTEST:,}")
    return torch.from_numpy(_mono(levels, name)), int(rate)


def resampled(samples: Tensor, rate: int, to: int) -> Tensor:
    """Return samples `(T,)`, int16, at `to` samples per second. What is too high for that is filtered out."""
    if rate == to:
        return samples
    from scipy.signal import resample_poly  # 0.5 s

    divisor = math.gcd(rate, to)
    levels = resample_poly(samples.numpy().astype(np.float32), to // divisor, rate // divisor)
    return torch.from_numpy(_rounded(levels))


def _mono(levels: NDArray[Any], name: str) -> NDArray[np.int16]:
    """Return samples `(T,)` or `(T, channels)` of any type as 16-bit ones, the mean over channels."""
    if levels.dtype == np.int16 and levels.ndim == 1:
        return levels.astype(np.int16)  # in the order of this machine's bytes
    values = levels.astype(np.float64)
    if levels.dtype == np.uint8:
        values = (values - 128) * 256
    elif levels.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise DataError(f"{name} has samples that are no numbers")
        values *= -LOWEST
    else:
        values /= 2.0 ** (8 * levels.dtype.itemsize - 16)
    return _rounded(values if values.ndim == 1 else values.mean(1))


def _rounded(levels: NDArray[Any]) -> NDArray[np.int16]:
    return levels.round().clip(LOWEST, LOUDEST).astype(np.int16)


def _reason(content: bytes, error: Exception) -> str:
    if not content:
        return "it is empty"
    if content[:4] not in (b"RIFF", b"RIFX", b"RF64"):
        return "it does not begin as one (RIFF)"
    told = str(error).partition(". ")[0]
    return told if "format" in told or "header" in told else "it is damaged, or ends too early"
