"""Reads sounds."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

from lab.data.inputs.given import Given
from lab.data.sound import read_wav, resampled
from lab.data.spec import InputSpec


@dataclass(frozen=True)
class Sounds:
    """Reads wav files, `(1, T)` in [-1, 1], at the rate of the training. What is longer than the longest sound
    in training is cut, and other rates are resampled."""

    spec: InputSpec
    rate: int
    suffixes: ClassVar = (".wav",)

    def read(self, content: bytes, name: str) -> Given:
        """Return the sound in a file. Raises DataError where it is no wav file."""
        levels, rate = read_wav(io.BytesIO(content), name)
        longest, notes = self.spec.shape[0], list[str]()
        if rate != self.rate:
            notes.append(f"{name} was resampled from {rate:,} to {self.rate:,} Hz")
            levels = resampled(levels, rate, self.rate)
        if len(levels) > longest:
            seconds = longest / self.rate, len(levels) / self.rate
            notes.append("{} was cut to its first {:.3g} of {:.3g} seconds".format(name, *seconds))
        return Given(levels[None, :longest].float() / 32_768, [{}], notes)
