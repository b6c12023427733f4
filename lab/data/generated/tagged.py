"""Sentences with a tag at each word, made by rule."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt, Probability
from lab.data.base import Batches, DatasetInfo, SplitData
from lab.data.batches import Options
from lab.data.generated.phrases import TAGS, TEST, TRAINING, VALIDATION, Sentence, sentences
from lab.data.lengths import LengthBatches, moved
from lab.data.own.texts.documents import Documents
from lab.data.spec import DataSpec, InputSpec, Tags
from lab.data.tokenizers.dropout import WordDropout
from lab.data.tokenizers.words import Words


class Tagged(SplitData):
    """Generated sentences with dates, amounts and names. Inputs are the ids of words, `(B, T)`, with a mask; targets
    are the tags of words, `(B, T)`: where a date, an amount or a name begins and goes on (B- and I-), and O elsewhere.

    Words such as `may` or `12` are part of a date, an amount, a name or nothing, as their neighbours tell. Training,
    validation and test have templates of their own. They are the same for all seeds. The vocabulary is that of the
    training part alone: other words are one unknown word. A mean over a batch is taken over its words.

    Args:
        train_size: sentences for training.
        val_size: for validation.
        test_size: for the test.
        word_dropout: probability with which a training word is replaced by the unknown one, drawn anew in each epoch.
        batch_size: sentences per training batch, of similar length; the last one of an epoch may be smaller.
        eval_batch_size: sentences per validation and test batch.
    """

    def __init__(
        self,
        *,
        train_size: PositiveInt = 2_000,
        val_size: NonNegativeInt = 1_000,
        test_size: PositiveInt = 2_000,
        word_dropout: Probability = 0.0,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 500,
    ) -> None:
        self.sizes, self.word_dropout = (train_size, val_size, test_size), word_dropout
        self.validates = val_size > 0
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def prepare(self) -> None:
        parts = [
            sentences(templates, count, np.random.Generator(np.random.PCG64(seed)))
            for seed, (templates, count) in enumerate(zip((TRAINING, VALIDATION, TEST), self.sizes, strict=True))
        ]
        self.words = Words.of(" ".join(one.words) for one in parts[0])
        self.parts = [self._numbers(part) for part in parts]
        content = "\n".join(f"{' '.join(one.words)} {one.tags}" for part in parts for one in part)
        self.info = DatasetInfo("phrases", hashlib.sha256(content.encode()).hexdigest())
        longest = max(len(one.words) for part in parts for one in part)
        self.spec = DataSpec(
            InputSpec((longest,), "int64", vocab=len(self.words)),
            Tags(len(TAGS), TAGS),
            reader=Documents(longest, self.words),
        )

    def _numbers(self, part: Sequence[Sentence]) -> tuple[list[Tensor], list[Tensor]]:
        return [torch.tensor(self.words.encode(" ".join(one.words))) for one in part], [
            torch.tensor(one.tags) for one in part
        ]

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size)

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        ids, tags = (moved(each, device) for each in self.parts[split])
        changed = WordDropout(self.word_dropout) if self.word_dropout and seed is not None else None
        options: Options = {"batch_size": batch_size, "seed": seed, "transform": changed, "drop_last": False}
        return LengthBatches(ids, tags, pad=Words.PAD, pad_target=Tags.NONE, weigh="steps", **options)
