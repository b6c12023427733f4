"""One spoken word against all others, in noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lab.config.types import DataPath, Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt
from lab.data.base import Batches
from lab.data.batch import Batch
from lab.data.obtain import STAND_IN
from lab.data.own.examples import Clip
from lab.data.sets.audio import BATCH_BYTES, Sounds
from lab.data.sets.audio_changes import AugmentSound
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.data.spoken.mixed import KINDS, VOICES, Condition, MixedBatches, grid
from lab.errors import ConfigError, DataError
from lab.system.memory import require_memory

RATIOS = (0.0, 5.0, 10.0, 15.0, 20.0)
"""Decibels of the test mixtures."""
VALIDATED = 10.0
"""Decibels of the validation mixtures."""
VALIDATION_SEED, TEST_SEED = 1, 2
OTHER = "other"


class WordInNoise(Sounds):
    """Spoken words in noise, each one word or another: class 1 is the word to be found, class 0 all others.

    Inputs are sounds `(B, T)`, float32 in [-1, 1], with a mask: one recording, with up to `margin` seconds before and
    after it, in white noise, in pink noise, or in babble, which is five voices at once from recordings of other words.
    A mixture is made of recordings of its own split alone, which is that of `Sounds`. Training mixtures are made anew
    in every epoch, at ratios between `lowest` and `highest`. The test has each recording in each kind of noise at 0, 5,
    10, 15 and 20 decibels, and the validation in each kind at 10 decibels; these are the same in every run.

    Args:
        word: name of its class.
        train_size: mixtures in an epoch.
        val_size: mixtures of the validation split.
        test_size: mixtures of the test split; 15 for each recording are all.
        share: of the training mixtures that are of the word.
        lowest: decibels by which the noise of a training mixture is weaker than the word, at least.
        highest: the same at most.
        margin: seconds before and after the recording, at most.
        name, fallback, batch_size, eval_batch_size, fold, augment, path, sample_rate: see `Sounds`.
    """

    def __init__(
        self,
        *,
        word: str,
        name: str = "fsdd",
        fallback: str = STAND_IN,
        train_size: PositiveInt = 2_400,
        val_size: PositiveInt = 900,
        test_size: PositiveInt = 4_500,
        share: Fraction = 0.3,
        lowest: float = 0.0,
        highest: float = 20.0,
        margin: NonNegativeFloat = 0.4,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 90,
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
        if not lowest <= highest:
            raise ConfigError(f"data.lowest must be at most data.highest, {highest}, received {lowest}")
        self.word, self.train_size, self.val_size, self.test_size = word, train_size, val_size, test_size
        self.share, self.ratios, self.margin = share, (lowest, highest), margin

    def prepare(self) -> None:
        super().prepare()
        form = self.spec.input
        assert isinstance(form, InputSpec)
        assert form.sample_rate
        self.rate = form.sample_rate
        self.number = self.spec.class_named(self.word, "data.word")
        self.margins = round(self.margin * self.rate)
        self.longest += 2 * self.margins
        if not self._validation:
            raise DataError("WordInNoise needs recordings for validation, received none")
        require_memory(
            BATCH_BYTES * (VOICES + 4) * self.longest * max(self.batch_size, self.eval_batch_size),
            f"a batch of mixtures of up to {self.longest / self.rate:,.3g} seconds needs",
            hint="give smaller --data.batch_size and --data.eval_batch_size",
        )
        self.spec = DataSpec(InputSpec((self.longest,), sample_rate=self.rate), Classes(2, (OTHER, self.word)))
        self.notes = [*self.notes, "noise is mixed with the recordings by rule: no sound was recorded in noise"]

    @property
    def conditions(self) -> Sequence[Condition]:
        """Kind and decibels of the noise of each test mixture, in order."""
        every = [Condition(kind, ratio) for ratio in RATIOS for kind in KINDS]
        return [every[i % len(every)] for i in range(self.test_size)]

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._mixed(self._train, device, None, self.train_size, seed, batch_size or self.batch_size)

    def validation(self, device: torch.device) -> Batches | None:
        every = [Condition(kind, VALIDATED) for kind in KINDS]
        return self._mixed(self._validation, device, every, self.val_size, VALIDATION_SEED, self.eval_batch_size)

    def test(self, device: torch.device) -> Batches:
        every = list(dict.fromkeys(self.conditions))
        return self._mixed(self._test, device, every, self.test_size, TEST_SEED, self.eval_batch_size)

    def _mixed(
        self,
        clips: Sequence[Clip],
        device: torch.device,
        conditions: Sequence[Condition] | None,
        count: int,
        seed: int,
        batch_size: int,
    ) -> Batches:
        said = [clip.label == self.number for clip in clips]
        training = conditions is None
        return MixedBatches(
            clips,
            self.number,
            recipe=None if conditions is None else grid(said, conditions, count),
            count=count,
            share=self.share,
            ratios=self.ratios,
            margin=self.margins,
            rate=self.rate,
            device=device,
            drawn_with=seed,
            transform=self._changed if training else None,
            batch_size=batch_size,
            seed=seed if training else None,
        )

    def _changed(self, batch: Batch, generator: torch.Generator) -> Batch:
        return self.augment(batch, generator, longest=self.longest) if self.augment else batch
