"""Sentences with a tag at each word, made by rule or the user's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt, Probability
from lab.data.base import Batches, DatasetInfo, SplitData
from lab.data.batches import Options
from lab.data.generated.phrases import TAGS, TEST, TRAINING, VALIDATION, sentences
from lab.data.lengths import LengthBatches, moved
from lab.data.obtain import own
from lab.data.own.texts.documents import Documents
from lab.data.own.texts.tagged import OUTSIDE, Sentence, read_tagged
from lab.data.spec import DataSpec, InputSpec, Tags
from lab.data.tokenizers.dropout import WordDropout
from lab.data.tokenizers.words import Words

SIZES = (2_000, 1_000, 2_000)
"""Generated sentences to train on, to validate and to test."""


class Tagged(SplitData):
    """Generated sentences with dates, amounts and names. Inputs are the ids of words, `(B, T)`, with a mask; targets
    are the tags of words, `(B, T)`: where a date, an amount or a name begins and goes on (B- and I-), and O elsewhere.
    Words are in lower case.

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
        path: the user's own sentences, a CoNLL file: a word and its tag in each line, and an empty line after each
            sentence. A tenth of them is tested, and a tenth validated, chosen by a hash of the words. Null for
            generated ones.
    """

    roles = Roles(added={"path": None})

    def __init__(
        self,
        *,
        train_size: PositiveInt = SIZES[0],
        val_size: NonNegativeInt = SIZES[1],
        test_size: PositiveInt = SIZES[2],
        word_dropout: Probability = 0.0,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 500,
        path: DataPath | None = None,
    ) -> None:
        self.sizes, self.word_dropout = (train_size, val_size, test_size), word_dropout
        self.batch_size, self.eval_batch_size, self.path = batch_size, eval_batch_size, path

    def prepare(self) -> None:
        splits, names = self._own(self.path) if self.path else self._generated()
        self.validates = bool(splits[1])
        self.words = Words.of_words(word for one in splits[0] for word in one.words)
        self.parts = [self._numbers(part, names) for part in splits]
        longest = max(len(one.words) for part in splits for one in part)
        self.spec = DataSpec(
            InputSpec((longest,), "int64", vocab=len(self.words)),
            Tags(len(names), names),
            reader=Documents(longest, self.words),
        )

    def _own(self, path: str) -> tuple[Sequence[Sequence[Sentence]], tuple[str, ...]]:
        """Return the splits of the user's sentences, and all tags: O, then those of each label."""
        loaded, self.info = own(path, read_tagged)
        self.notes = loaded.notes
        if self.sizes != SIZES:
            self.notes = (
                *self.notes,
                "data.train_size, data.val_size and data.test_size are of generated sentences, and change nothing: a "
                "tenth of data.path is validated, and a tenth tested",
            )
        every = {tag for part in loaded.splits for one in part for tag in one.tags} - {OUTSIDE}
        return loaded.splits, (OUTSIDE, *sorted(every, key=lambda tag: (tag[2:], tag)))

    def _generated(self) -> tuple[Sequence[Sequence[Sentence]], tuple[str, ...]]:
        drawn = [
            sentences(templates, count, np.random.Generator(np.random.PCG64(seed)))
            for seed, (templates, count) in enumerate(zip((TRAINING, VALIDATION, TEST), self.sizes, strict=True))
        ]
        content = "\n".join(f"{' '.join(one.words)} {one.tags}" for part in drawn for one in part)
        self.info = DatasetInfo("phrases", hashlib.sha256(content.encode()).hexdigest())
        splits = [[Sentence(tuple(one.words), tuple(TAGS[tag] for tag in one.tags)) for one in part] for part in drawn]
        return splits, TAGS

    def _numbers(self, part: Sequence[Sentence], names: Sequence[str]) -> tuple[list[Tensor], list[Tensor]]:
        ids = [torch.tensor([*map(self.words.id_of, one.words)]) for one in part]
        return ids, [torch.tensor([*map(names.index, one.tags)]) for one in part]

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size)

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        ids, tags = (moved(each, device) for each in self.parts[split])
        changed = WordDropout(self.word_dropout) if self.word_dropout and seed is not None else None
        options: Options = {"batch_size": batch_size, "seed": seed, "transform": changed, "drop_last": False}
        return LengthBatches(ids, tags, pad=Words.PAD, pad_target=Tags.NONE, weigh="steps", **options)
