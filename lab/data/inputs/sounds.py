"""Reads sounds."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

from lab.data.inputs.given import Given
from lab.data.sound import read_wav
from lab.data.spec import InputSpec
from lab.errors import ConfigError


@dataclass(frozen=True)
class Sounds:
    """Reads wav files, `(1, T)` in [-1, 1]; what is longer than the longest sound in training is cut."""

    spec: InputSpec
    rate: int
    suffixes: ClassVar = (".wav",)

    def read(self, content: bytes, name: str) -> Given:
        """Return the sound in a file. Raises DataError where it is no wav file, ConfigError for another sample rate."""
        levels, rate = read_wav(io.BytesIO(content), name)
        if rate != self.rate:
            raise ConfigError(f"{name}: the model takes {self.rate} samples per second, received {rate}")
        longest, notes = self.spec.shape[0], list[str]()
        if len(levels) > longest:
            notes.append(f"{name} was cut to its first {longest / rate:.3g} of {len(levels) / rate:.3g} seconds")
        return Given(levels[None, :longest].float() / 32_768, [{}], notes)
