"""Sounds with one class each: spoken digits, and generated tones, which need no download."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.archive import members
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.batches import Transform
from lab.data.catalog import lookup
from lab.data.lengths import LengthBatches
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.examples import Clip, Recordings
from lab.data.own.sounds import read_sounds
from lab.data.sets.audio_changes import AugmentSound
from lab.data.sound import read_wav
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError, DataError
from lab.system.memory import require_memory

DIGITS = tuple("0123456789")
TESTED, HELD_OUT = range(5), range(5, 10)
"""Numbers of the recordings for test and validation; the former are the data set's own choice."""
BATCH_BYTES = 16
"""Of each sample in a batch: where it is, what it is as 16 bits and as float32, and whether it is real."""


class Sounds(DataModule):
    """Sounds of different lengths with one class each, held as 16-bit samples on the training device and given to the
    model as float32 in [-1, 1], with a mask.

    Of the 50 recordings in `fsdd` that a speaker made of each digit, 0 to 4 are the test split, as the data set says,
    and 5 to 9 are held out for validation.

    Args:
        name: `fsdd` (spoken digits) or `tones` (two tones for each digit, as telephones have them).
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the
            catalog names, and `none` makes that an error.
        batch_size: sounds per training batch.
        eval_batch_size: sounds per validation and test batch.
        fold: number of a speaker, in alphabetical order from 0, who is left out: all recordings of this speaker are the
            test split, and 5 to 9 of the others are held out for validation. Null leaves nobody out.
        augment: random changes of training sounds; null for none.
        path: the user's own sounds: a folder with a folder of wav files for each class (and `train` and `test` around
            these, where the user has chosen what is tested); null for the data set of `name`.
        sample_rate: samples per second that the user's own sounds are resampled to; null for the rate that most of
            them have.
    """

    roles = Roles(task=("sample_rate",), added={"path": None, "sample_rate": None})

    def __init__(
        self,
        *,
        name: str = "fsdd",
        fallback: str = STAND_IN,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 100,
        fold: NonNegativeInt | None = None,
        augment: AugmentSound | None = None,
        path: DataPath | None = None,
        sample_rate: PositiveInt | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        if sample_rate is not None and path is None:
            raise ConfigError(f"data.sample_rate is for sounds of your own, in data.path; {name} has its own rate")
        if fold is not None and path is not None:
            raise ConfigError(
                f"data.fold leaves out one speaker of {name}, but nothing says who speaks in the sounds of data.path: "
                "put what is to be tested into a folder test, beside train"
            )
        self.name, self.fallback = name, fallback
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.fold, self.augment, self.path, self.sample_rate = fold, augment, path, sample_rate

    def prepare(self) -> None:
        if self.path:
            loaded, self.info = own(self.path, lambda place: read_sounds(place, self.sample_rate))
            self.notes = loaded.notes
            self._test, self._validation, self._train = (
                [clip for clip in loaded.clips if clip.side == side] for side in ("test", "validation", "train")
            )
        else:
            loaded, self.info = obtain(self.name, self.fallback, LOADERS)
            self._divide(loaded.clips)
        self.longest = max(len(clip.samples) for clip in loaded.clips)
        require_memory(
            BATCH_BYTES * self.longest * max(self.batch_size, self.eval_batch_size),
            f"a batch of sounds of up to {self.longest / loaded.rate:,.3g} seconds needs",
            hint="cut the longest ones into pieces, or give smaller --data.batch_size and --data.eval_batch_size",
        )
        form = InputSpec((self.longest,), sample_rate=loaded.rate)
        self.spec = DataSpec(form, Classes(len(loaded.classes), loaded.classes))

    def _divide(self, clips: Sequence[Clip]) -> None:
        """Set the splits by the numbers of the recordings, and by their speakers where one is left out."""
        if self.fold is None:
            tested = [clip for clip in clips if clip.number in TESTED]
            rest = [clip for clip in clips if clip.number not in TESTED]
        else:
            speakers = sorted({clip.speaker for clip in clips})
            if self.fold >= len(speakers):
                raise ConfigError(
                    f"data.fold must be the number of a speaker from 0 to {len(speakers) - 1} ({', '.join(speakers)}), "
                    f"received {self.fold}"
                )
            left_out = speakers[self.fold]
            self.notes = [f"all recordings of {left_out} are tested, and none of them is trained on"]
            tested = [clip for clip in clips if clip.speaker == left_out]
            rest = [clip for clip in clips if clip.speaker != left_out]
        self._test = tested
        self._validation = [clip for clip in rest if clip.number in HELD_OUT]
        self._train = [clip for clip in rest if clip.number not in HELD_OUT]

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return batches_of(self._train, device, batch_size or self.batch_size, seed, self._augmented)

    def _augmented(self, batch: Batch, generator: torch.Generator) -> Batch:
        batch = unit_samples(batch, generator)
        return self.augment(batch, generator, longest=self.longest) if self.augment else batch

    def validation(self, device: torch.device) -> Batches | None:
        return batches_of(self._validation, device, self.eval_batch_size) if self._validation else None

    def test(self, device: torch.device) -> Batches:
        return batches_of(self._test, device, self.eval_batch_size)


def unit_samples(batch: Batch, generator: torch.Generator) -> Batch:
    """Scale 16-bit samples to float32 in [-1, 1]."""
    samples, _ = batch
    return replace(batch, inputs=samples.to(torch.float32).div_(32_768))


def load_fsdd() -> Recordings:
    """The spoken digits: 50 recordings of each digit by each of six speakers, at 8,000 Hz. Raises UnavailableError or
    DamagedDataError."""
    entry = lookup("fsdd")
    files = members(entry, announce=notice)
    clips, rates = [], set()
    for name, content in files.items():
        parts = re.fullmatch(r"recordings/(\d)_([a-z]+)_(\d+)\.wav", name)
        if parts is None:
            raise DataError(f"a recording must be called DIGIT_SPEAKER_NUMBER.wav, received {name}")
        samples, rate = read_wav(io.BytesIO(content), name)
        clips.append(Clip(samples, int(parts[1]), parts[2], int(parts[3])))
        rates.add(rate)
    if len(rates) != 1:
        raise DataError(f"all recordings must have one sample rate, received {sorted(rates)}")
    return Recordings(sorted(clips, key=lambda clip: clip[1:4]), rates.pop(), DIGITS, entry.sha256)


ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)
KEYS = {0: (3, 1)} | {digit: divmod(digit - 1, 3) for digit in range(1, 10)}


@cache
def load_tones() -> Recordings:
    """Generated sounds: the two tones of each digit on a telephone (ITU-T Q.23) begin and end in noise, 20 times by
    each of six voices, which differ in pitch and loudness. At 8,000 Hz, 0.15 to 0.4 s long."""
    random = np.random.Generator(np.random.PCG64(20))
    rate, clips, digest = 8_000, [], hashlib.sha256()
    for digit in range(10):
        row, column = KEYS[digit]
        for voice in range(6):
            for index in range(20):
                count = int(random.integers(1_200, 3_200))
                pitch = 1 + 0.008 * (voice - 2.5) + 0.003 * random.standard_normal()
                phases, noise = random.uniform(0, 2 * np.pi, 2), random.standard_normal(count)
                at = 2 * np.pi * pitch * np.arange(count) / rate
                tones = np.sin(ROWS[row] * at + phases[0]) + np.sin(COLUMNS[column] * at + phases[1])
                begin, end = (count * random.uniform((0.1, 0.7), (0.3, 0.9))).astype(int)
                tones[:begin] = tones[end:] = 0
                levels = np.round(3_000 * 0.8**voice * (tones + 0.3 * noise)).astype(np.int16)
                digest.update(levels.astype("<i2").tobytes())
                clips.append(Clip(torch.from_numpy(levels), digit, f"voice {voice + 1}", index))
    return Recordings(tuple(clips), rate, DIGITS, digest.hexdigest())


LOADERS: dict[str, Callable[[], Recordings]] = {"fsdd": load_fsdd, "tones": load_tones}


def batches_of(
    clips: Sequence[Clip],
    device: torch.device,
    batch_size: int,
    seed: int | None = None,
    transform: Transform = unit_samples,
) -> Batches:
    """Return recordings as batches on the device, shuffled where there is a seed."""
    lengths = [len(clip.samples) for clip in clips]
    samples = torch.cat([clip.samples for clip in clips])
    require_memory(samples.nbytes if device.type != "cpu" else 0, "the sounds need", device)
    sounds = samples.to(device).split(lengths)  # type: ignore[no-untyped-call]
    labels = torch.tensor([clip.label for clip in clips], device=device)
    return LengthBatches(sounds, labels, batch_size=batch_size, seed=seed, transform=transform)
