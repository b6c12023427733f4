"""Music as the keys of a piano that sound at each step: Bach's chorales, and counterpoint by rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.base import Batches, SplitData
from lab.data.batch import Batch
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.data.files.score import KEYS, LOWEST
from lab.data.lengths import LengthBatches
from lab.data.obtain import STAND_IN, obtain, require_known
from lab.data.sets.counterpoint import counterpoint
from lab.data.spec import DataSpec, InputSpec
from lab.errors import ConfigError

SPLITS = ("train", "valid", "test")  # as the file of the chorales names them


class Pieces(NamedTuple):
    """What a loader returns: for each split its pieces, `(T_i, 88)`, uint8, and a hash of all."""

    splits: tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]
    sha256: str


class Music(SplitData):
    """Pieces of music. Inputs are `(B, T, 88)`: 1 where a key of the piano sounds at a step, and 0 elsewhere. There are
    no targets: a model of music predicts each step from those before it. A mean over a batch is taken over its steps.

    Args:
        name: `jsb-chorales`, with a step for each quarter note and the split of Boulanger-Lewandowski et al. 2012; or
            `counterpoint`, which is generated.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        batch_size: pieces per training batch.
        eval_batch_size: pieces per validation and test batch.
        transpose: semitones by which a training piece is shifted at most, up or down, anew each time it is used.
    """

    def __init__(
        self,
        *,
        name: str = "jsb-chorales",
        fallback: str = STAND_IN,
        batch_size: PositiveInt = 16,
        eval_batch_size: PositiveInt = 80,
        transpose: NonNegativeInt = 0,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback, self.transpose = name, fallback, transpose
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def prepare(self) -> None:
        loaded, self.info = obtain(self.name, self.fallback, LOADERS)
        self.splits = loaded.splits
        used = torch.stack([piece.amax(0) for piece in self.splits[0]]).amax(0).nonzero().flatten()
        room = min(int(used[0]), KEYS - 1 - int(used[-1]))
        if self.transpose > room:
            raise ConfigError(
                f"data.transpose must be at most {room} semitones, or notes of {self.info.name} leave the piano, "
                f"received {self.transpose}"
            )
        longest = max(len(piece) for split in self.splits for piece in split)
        self.spec = DataSpec(InputSpec((longest, KEYS)))

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size)

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        pieces = [piece.to(device) for piece in self.splits[split]]
        transform = _as_numbers if seed is None else self._transposed
        return LengthBatches(pieces, weigh="steps", batch_size=batch_size, seed=seed, transform=transform)

    def _transposed(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Shift each piece by a random number of semitones."""
        batch = _as_numbers(batch, generator)
        if not self.transpose:
            return batch
        keys = batch.inputs
        assert isinstance(keys, Tensor)
        most = self.transpose
        shifts = torch.randint(-most, most + 1, (len(keys), 1), generator=generator, device=keys.device)
        source = (
            torch.arange(KEYS, device=keys.device) - shifts
        ) % KEYS  # (B, 88); nothing sounds where it wraps round
        return replace(batch, inputs=keys.gather(2, source[:, None].expand_as(keys)))


def _as_numbers(batch: Batch, _: torch.Generator) -> Batch:
    assert isinstance(batch.inputs, Tensor)
    return replace(batch, inputs=batch.inputs.float())


def load_chorales() -> Pieces:
    """Bach's chorales at quarter notes. Raises UnavailableError or DamagedDataError."""
    dataset = lookup("jsb-chorales")
    (path,) = fetch(dataset, announce=notice).values()
    content = json.loads(path.read_bytes())
    splits = tuple([_piece(chords) for chords in content[split]] for split in SPLITS)
    return Pieces(splits, dataset.sha256)  # type: ignore[arg-type]


def _piece(chords: Sequence[Sequence[int]]) -> Tensor:
    """Return a list of the MIDI numbers of the notes of each step as `(T, 88)`, uint8."""
    keys = torch.zeros(len(chords), KEYS, dtype=torch.uint8)
    for step, chord in enumerate(chords):
        keys[step, [note - LOWEST for note in chord]] = 1
    return keys


def load_counterpoint() -> Pieces:
    """400 pieces by rule, of which 240 train, 80 validate and 80 test."""
    splits = (counterpoint(240, 0), counterpoint(80, 1), counterpoint(80, 2))
    content = hashlib.sha256()
    for split in splits:
        for piece in split:
            content.update(piece.numpy().tobytes())
    return Pieces(splits, content.hexdigest())


LOADERS: dict[str, Callable[[], Pieces]] = {"jsb-chorales": load_chorales, "counterpoint": load_counterpoint}
