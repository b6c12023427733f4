"""Sequences of spoken words, joined from recordings of single words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import torch

from lab.config.types import DataPath, NonNegativeFloat, NonNegativeInt, PositiveInt
from lab.data.base import Batches
from lab.data.batches import Options
from lab.data.obtain import STAND_IN
from lab.data.own.examples import Clip
from lab.data.sets.audio import BATCH_BYTES, Sounds, batches_of, unit_samples
from lab.data.sets.audio_changes import AugmentSound
from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.spoken.joined import PAD, JoinedBatches, Plan
from lab.data.tokenizers.names import Names
from lab.errors import ConfigError
from lab.system.memory import require_memory

OTHER_SILENCES = {"no_silence": (0.0, 0.0), "long_silence": (0.5, 1.0)}
"""Seconds of silence, at least and at most, of the same test sequences where these are also joined otherwise."""
DRAWN_WITH = {"validation": 1, "test": 2}
"""Seeds of the sequences that are the same in every run."""


class SpokenSequences(Sounds):
    """Sequences of words, each joined from recordings of one speaker, with silence between, before and after them.

    Inputs are sounds `(B, T)`, float32 in [-1, 1], with a mask. Targets are the numbers of the words in order,
    `(B, L)`, -1 where a sequence has fewer than L. How many words there are, which they are and how long each silence
    is are drawn uniformly, and so is the recording of each word. The training sequences are drawn anew in every epoch;
    those of validation and test are the same in every run. A sequence is joined from recordings of its own split alone,
    which is that of `Sounds`.

    Args:
        train_size: sequences in an epoch.
        val_size: sequences of the validation split.
        test_size: sequences of the test split.
        fewest: words of a sequence.
        most: words of a sequence.
        silence: seconds of silence at most, between two words, before the first and after the last.
        name, fallback, batch_size, eval_batch_size, fold, augment, path, sample_rate: see `Sounds`. With `path`, one
            speaker is taken to have said everything.
    """

    def __init__(
        self,
        *,
        name: str = "fsdd",
        fallback: str = STAND_IN,
        train_size: PositiveInt = 1_000,
        val_size: PositiveInt = 200,
        test_size: PositiveInt = 500,
        fewest: PositiveInt = 3,
        most: PositiveInt = 7,
        silence: NonNegativeFloat = 0.3,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 50,
        fold: NonNegativeInt | None = None,
        augment: AugmentSound | None = None,
        path: DataPath | None = None,
        sample_rate: PositiveInt | None = None,
    ) -> None:
        super().__init__(
            name=name,
            fallback=fallback,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            fold=fold,
            augment=augment,
            path=path,
            sample_rate=sample_rate,
        )
        if fewest > most:
            raise ConfigError(f"data.fewest must be at most data.most, {most}, received {fewest}")
        self.train_size, self.val_size, self.test_size = train_size, val_size, test_size
        self.fewest, self.most, self.silence = fewest, most, silence

    def prepare(self) -> None:
        super().prepare()
        form, target = self.spec.input, self.spec.target
        assert isinstance(form, InputSpec)
        rate, names = form.sample_rate, getattr(target, "names", ())
        assert rate is not None
        self.rate = rate
        longest_silence = max(self.silence, *(high for _, high in OTHER_SILENCES.values()))
        self.longest = self.most * self.longest + (self.most + 1) * round(longest_silence * rate)
        require_memory(
            BATCH_BYTES * self.longest * max(self.batch_size, self.eval_batch_size),
            f"a batch of sequences of up to {self.longest / rate:,.3g} seconds needs",
            hint="give a smaller --data.most, --data.batch_size and --data.eval_batch_size",
        )
        tokens = Tokens(len(names), self.most, PAD, Names(names))
        self.spec = DataSpec(InputSpec((self.longest,), sample_rate=rate), tokens)
        self.notes = [
            *self.notes,
            "the sequences are joined from recordings of single words: nobody has said them as they are",
        ]

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._joined(
            self._train,
            device,
            count=self.train_size,
            transform=self._augmented,
            batch_size=batch_size or self.batch_size,
            seed=seed,
        )

    def validation(self, device: torch.device) -> Batches | None:
        return self._fixed("validation", device, (0, self.silence)) if self._validation else None

    def test(self, device: torch.device) -> Batches:
        return self._fixed("test", device, (0, self.silence))

    def other_tests(self, device: torch.device) -> Mapping[str, Batches]:
        """Return the test sequences with the same words from the same recordings, and other silences between, by
        name."""
        return {name: self._fixed("test", device, seconds) for name, seconds in OTHER_SILENCES.items()}

    def words(self, device: torch.device) -> Batches:
        """Return the training recordings of single words with their classes, as they are."""
        return batches_of(self._train, device, self.eval_batch_size)

    def _fixed(self, split: str, device: torch.device, seconds: tuple[float, float]) -> Batches:
        clips, count = (self._test, self.test_size) if split == "test" else (self._validation, self.val_size)
        return self._joined(
            clips,
            device,
            count=count,
            seconds=seconds,
            drawn_with=DRAWN_WITH[split],
            transform=unit_samples,
            batch_size=self.eval_batch_size,
            seed=None,
        )

    def _joined(
        self,
        clips: Sequence[Clip],
        device: torch.device,
        *,
        count: int,
        seconds: tuple[float, float] | None = None,
        drawn_with: int = 0,
        **options: Unpack[Options],
    ) -> Batches:
        low, high = (round(one * self.rate) for one in seconds or (0, self.silence))
        plan = Plan(self.fewest, self.most, low, high)
        return JoinedBatches(clips, plan, count, device, drawn_with=drawn_with, **options)
