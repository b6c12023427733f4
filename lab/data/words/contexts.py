"""The words of a text, each with its neighbours (Mikolov et al. 2013, 'Distributed representations of words')."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from lab.config.types import DataPath, NonNegativeInt, PositiveFloat, PositiveInt
from lab.data.base import Batches, SplitData
from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.texts.passages import read_text
from lab.data.sets.texts import LOADERS, TEST, VALIDATION
from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.tokenizers.words import Words, words_of
from lab.data.words.reader import Vocabulary
from lab.errors import ConfigError, DataError
from lab.system.randomness import derived_seed

# Dimensions: N words of a text, B words of a batch, K places around a word.

PAD = -1  # fills up the places around a word that are not used
FRESH = 0  # seeds what is drawn of validation and test, so that it is the same for all runs


class WordContexts(SplitData):
    """One text as words, each with the words around it. Inputs are words, `(B, 1)`, and targets their neighbours,
    `(B, 2 * window)`; -1 where there is none.

    A word is in lower case. Numbers and other signs are left out, and so are words that are rarer than `min_count` in
    the training part. Frequent words are dropped at random before neighbours are counted (section 2.3): those that make
    up a share f of all words are kept with probability `sqrt(subsampling / f)`. This is drawn anew in each epoch, and
    for each word how far its neighbours may be away, from 1 to `window`. In validation and test it is drawn once, and
    neighbours are up to `window` away. Means over a batch are taken over its pairs of a word and a neighbour.

    The last tenth of the text is the test split, as for `Text`.

    Args:
        name: `tinyshakespeare` or `topics`.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        window: how many words away a neighbour may be, on each side.
        min_count: times that a word must occur in the training part.
        subsampling: `t` in the paper, which has 1e-5 for a thousand times as many words.
        batch_size: words per training batch, each with its neighbours.
        eval_batch_size: words per validation and test batch.
        val_size: characters held out for validation, from the end of the training part. The default holds out at most a
            tenth of it.
        path: of the user's own text, a file or a folder of `.txt` files, as UTF-8; null for the data set of `name`.
    """

    counts: Tensor
    """How often each token id occurs in the training part, `(V,)`."""

    def __init__(
        self,
        *,
        name: str = "tinyshakespeare",
        fallback: str = STAND_IN,
        window: PositiveInt = 5,
        min_count: PositiveInt = 5,
        subsampling: PositiveFloat = 1e-3,
        batch_size: PositiveInt = 512,
        eval_batch_size: PositiveInt = 1024,
        val_size: NonNegativeInt = VALIDATION,
        path: DataPath | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback, self.window, self.min_count = name, fallback, window, min_count
        self.subsampling, self.batch_size, self.eval_batch_size = subsampling, batch_size, eval_batch_size
        self.val_size, self.validates, self.path = val_size, val_size > 0, path

    def prepare(self) -> None:
        loaded, self.info = own(self.path, read_text) if self.path else obtain(self.name, self.fallback, LOADERS)
        self.notes, text = loaded.notes, loaded.text
        training = int(len(text) * (1 - TEST))
        held_out = min(VALIDATION, training // 10) if self.val_size == VALIDATION else self.val_size
        if held_out >= training:
            raise ConfigError(
                f"data.val_size must be less than the {training:,} characters of the training part, "
                f"received {held_out:,}"
            )
        kept = training - held_out
        parts = [plain_words(text[start:end]) for start, end in ((0, kept), (kept, training), (training, None))]
        self.words = Words.of([" ".join(parts[0])], self.min_count)
        ids = [_known(part, self.words) for part in parts]
        for what, part in zip(("training", "validation", "test"), ids, strict=True):
            if len(part) <= 2 * self.window and (what != "validation" or self.val_size):
                raise DataError(
                    f"the {what} part of {self.info.name} has {len(part)} words that occur at least {self.min_count} "
                    f"times in the training part; expected more than {2 * self.window}: a longer text, or a smaller "
                    "data.min_count"
                )
        self._parts = ids
        self.counts = ids[0].bincount(minlength=len(self.words))
        share = self.counts / self.counts.sum()
        self.keep = (self.subsampling / share.clamp(min=1e-12)).sqrt().clamp(max=1)
        if (expected := int((self.keep[ids[0]]).sum())) < 2 * self.batch_size:
            raise ConfigError(
                f"data.subsampling of {self.subsampling:g} leaves about {expected:,} words of the training part, fewer "
                f"than two batches of data.batch_size {self.batch_size}"
            )
        self.spec = DataSpec(
            InputSpec((1,), "int64", vocab=len(self.words)),
            Tokens(len(self.words), 2 * self.window, PAD, self.words),
            reader=Vocabulary(self.words),
        )

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        return Neighbours(self._parts[split], self.keep, self.window, device, batch_size=batch_size, seed=seed)


class Neighbours(CutBatches):
    """Batches of words with their neighbours. See `WordContexts` for what is drawn at random.

    Args:
        ids: of the words, `(N,)`.
        keep: probability with which each token id is kept, `(V,)`.
        window: how far away neighbours are at most.
        device: of the batches.
        options: see `Options`. Without a seed, words keep their order, and all of `window` is used.
    """

    def __init__(
        self, ids: Tensor, keep: Tensor, window: int, device: torch.device, **options: Unpack[Options]
    ) -> None:
        self.ids, self.chances, self.window = ids, keep[ids], window
        steps = torch.arange(1, window + 1, device=device)
        self.places = torch.cat([-steps.flip(0), steps])  # (K,)
        self._thin(torch.Generator().manual_seed(FRESH), device)
        # As many in each epoch as are kept on average, so that epochs are equally long.
        count = len(self.stream) if options["seed"] is None else int(self.chances.sum())
        super().__init__(count, device, **options)

    def order(self) -> Tensor:
        """Return places in the thinned text, `(count,)`, which is thinned anew where batches are shuffled."""
        if self.seed is None:
            return super().order()
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch))
        self._thin(generator, self.device)
        shuffled = torch.randperm(len(self.stream), generator=generator)
        return shuffled[torch.arange(self.count) % len(shuffled)]

    def take(self, chosen: Tensor) -> Batch:
        around = chosen[:, None] + self.places  # (B, K)
        real = (around >= 0) & (around < len(self.stream))
        if self.seed is not None:
            real &= self.places.abs() <= self.reach[chosen, None]
        found = self.stream[around.clamp(0, len(self.stream) - 1)].masked_fill(~real, PAD)
        return Batch(self.stream[chosen, None], found, weight=int(real.sum()))

    def _thin(self, generator: torch.Generator, device: torch.device) -> None:
        """Drop words at random, and draw how far the neighbours of each that is left may be away."""
        kept = torch.rand(len(self.ids), generator=generator) < self.chances
        self.stream = self.ids[kept].to(device)
        self.reach = torch.randint(1, self.window + 1, (len(self.stream),), generator=generator).to(device)


def plain_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without numbers and other signs."""
    return [word for word in words_of(text) if word[0].isalpha()]


def _known(words: list[str], vocabulary: Words) -> Tensor:
    ids = torch.tensor([i for word in words for i in vocabulary.encode(word)], dtype=torch.int64)
    return ids[ids != Words.UNKNOWN]
