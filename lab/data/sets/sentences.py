"""Texts with one class each, as words: movie reviews, and reviews from templates, which need no download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import torch

from lab.config.types import DataPath, NonNegativeInt, PositiveInt, Probability
from lab.console.notices import notice
from lab.data.archive import members
from lab.data.base import Batches, SplitData
from lab.data.batches import Options
from lab.data.catalog import lookup
from lab.data.lengths import LengthBatches, moved
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.examples import Texts
from lab.data.own.splits import Examples, held_out
from lab.data.own.texts.documents import Documents
from lab.data.own.texts.labelled import read_texts
from lab.data.sets.folds import Parts, require_fold, split
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.data.tokenizers.dropout import WordDropout
from lab.data.tokenizers.words import Words
from lab.errors import ConfigError, DataError

POLARITY = ("negative", "positive")


VALIDATION = 0.1  # share of the training texts held out where the config does not say


class Sentences(SplitData):
    """Texts with a class each, as the ids of their words, with a mask. Words are in lower case, and other signs are
    words too. The vocabulary is that of the training part alone: other words are one unknown word.

    The texts are shuffled and cut into folds that have the classes in equal shares, as scikit-learn's StratifiedKFold
    does with random_state 0. One fold is the test split. `lab run NAME --vary data.fold=0-9` tests each text once.

    Args:
        name: `rt-polarity` (movie reviews, negative or positive) or `templates` (generated ones).
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        fold: number of the fold that is the test split, from 0.
        folds: number of folds.
        val_size: share of the other folds that is held out for validation, with the classes in equal shares.
        min_count: times that a word must occur in the training part to be in the vocabulary.
        word_dropout: probability with which a training word is replaced by the unknown one, drawn anew in each epoch
            (Iyyer et al. 2015, section 3.1). Without it and with a `min_count` of 1, nothing is learned of unknown
            words.
        batch_size: texts per training batch, of similar length; the last one of an epoch may be smaller.
        eval_batch_size: texts per validation and test batch.
        path: the user's own texts: a csv, or a folder with a folder of `.txt` files for each class (and `train` and
            `test` around these, where the user has chosen what is tested: then there are no folds); null for the data
            set of `name`. Texts that are the same stay in one part.
        text: column of that csv with the texts.
        target: column of that csv with the classes.
    """

    def __init__(
        self,
        *,
        name: str = "rt-polarity",
        fallback: str = STAND_IN,
        fold: NonNegativeInt = 0,
        folds: PositiveInt = 10,
        val_size: Probability = VALIDATION,
        min_count: PositiveInt = 1,
        word_dropout: Probability = 0.0,
        batch_size: PositiveInt = 50,
        eval_batch_size: PositiveInt = 200,
        path: DataPath | None = None,
        text: str = "text",
        target: str = "label",
    ) -> None:
        require_known(name, fallback, LOADERS)
        require_fold(fold, folds)
        self.name, self.fallback, self.fold, self.folds, self.val_size = name, fallback, fold, folds, val_size
        self.min_count, self.word_dropout = min_count, word_dropout
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.path, self.text, self.target = path, text, target

    def prepare(self) -> None:
        if self.path:
            loaded, self.info = own(self.path, lambda place: read_texts(place, self.text, self.target))
        else:
            loaded, self.info = obtain(self.name, self.fallback, LOADERS)
        self.notes = loaded.notes
        parts = self._given(loaded) if "test" in loaded.sides else self._folds(loaded)
        self.words = Words.of((loaded.texts[i] for i in parts[0].tolist()), self.min_count)
        ids = [torch.tensor(self.words.encode(text)) for text in loaded.texts]
        every = (*parts, torch.cat(parts[:2]).sort().values)
        self._parts = [([ids[i] for i in part.tolist()], loaded.labels[part]) for part in every]
        self.validates = len(parts[1]) > 0
        longest = max(map(len, ids))
        self.spec = DataSpec(
            InputSpec((longest,), "int64", vocab=len(self.words)),
            Classes(len(loaded.classes), loaded.classes),
            reader=Documents(longest, self.words, self.text),
        )

    def _folds(self, loaded: Texts) -> Parts:
        counts = loaded.labels.bincount()
        if (fewest := int(counts.min())) < self.folds:
            raise ConfigError(
                f"data.folds must be at most {fewest}, the texts of the rarest class, "
                f"{loaded.classes[int(counts.argmin())]}, so that each fold has one; received {self.folds}"
            )
        numbers = {content: i for i, content in enumerate(dict.fromkeys(loaded.contents))}
        copies = len(numbers) < len(loaded.contents)
        groups = torch.tensor([numbers[content] for content in loaded.contents]) if copies else None
        return split(loaded.labels, self.fold, self.folds, self.val_size, groups)

    def _given(self, loaded: Texts) -> Parts:
        """Return the parts that the user has chosen; what is held out of the training part where nothing says it."""
        if self.fold:
            raise ConfigError(
                f"data.fold chooses what is tested, but the folder test of data.path does; received {self.fold}"
            )
        train, validation, test = (
            torch.tensor([i for i, one in enumerate(loaded.sides) if one == side], dtype=torch.int64)
            for side in ("train", "validation", "test")
        )
        if len(validation) and self.val_size != VALIDATION:
            self.notes = (
                *self.notes,
                f"data.val_size={self.val_size:g} changes nothing: data.path has its own validation texts",
            )
        if not len(validation):
            contents = [loaded.contents[i] for i in train.tolist()]
            examples = Examples(loaded.labels[train].tolist(), contents, loaded.classes)
            out = torch.tensor(held_out(examples, round(self.val_size * len(train))))
            train, validation = train[~out], train[out]
        return train, validation, test

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(3, device, self.eval_batch_size)

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        ids, labels = self._parts[split]
        changed = WordDropout(self.word_dropout) if self.word_dropout and seed is not None else None
        options: Options = {"batch_size": batch_size, "seed": seed, "transform": changed, "drop_last": False}
        return LengthBatches(moved(ids, device), labels.to(device), pad=Words.PAD, **options)


def load_polarity() -> Texts:
    """The sentences of movie reviews: 5,331 negative ones, then as many positive ones. Raises UnavailableError or
    DamagedDataError."""
    entry = lookup("rt-polarity")
    files = members(entry, announce=notice)
    texts: list[str] = []
    for ending in ("neg", "pos"):
        # The files are Latin-1 and have the byte 0x85, an ellipsis there, which splitlines takes for the end of a line.
        lines = files[f"rt-polarity.{ending}"].decode("latin-1").split("\n")
        texts += [line for line in lines if line]
    half, rest = divmod(len(texts), 2)
    if rest:
        raise DataError(f"rt-polarity has {len(texts):,} sentences; expected as many negative as positive ones")
    return Texts(texts, torch.arange(2).repeat_interleave(half), POLARITY, entry.sha256)


THINGS = ("plot", "cast", "story", "ending", "dialogue", "music", "camera", "lead", "script", "first act")
GOOD = ("moving", "funny", "clever", "warm", "gripping", "fresh", "elegant", "honest", "bold", "charming")
BAD = ("dull", "flat", "tedious", "clumsy", "lazy", "hollow", "messy", "stale", "loud", "forgettable")
TEMPLATES = ("the {thing} is {own} .", "the {thing} is never {other} .", "a film with a {own} {thing} .")
JOINTS = ("and yes ,", "what is more ,", "again and again ,")


@cache
def load_templates() -> Texts:
    """Generated reviews: two statements about a film in a row, 600 with two bad ones and 600 with two good ones. A
    third of the statements deny a word of the other class, so that single words do not tell the class for sure."""
    random = np.random.Generator(np.random.PCG64(5))
    texts: list[str] = []
    for own_words, other_words in ((BAD, GOOD), (GOOD, BAD)):
        said = [
            form.format(thing=thing, own=word, other=other)
            for form, thing, (word, other) in product(TEMPLATES, THINGS, zip(own_words, other_words, strict=True))
        ]
        every = len(said) * len(JOINTS) * len(said)
        for number in random.choice(every, 600, replace=False).tolist():
            first, rest = divmod(number, len(JOINTS) * len(said))
            joint, second = divmod(rest, len(said))
            texts.append(f"{said[first]} {JOINTS[joint]} {said[second]}")
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    return Texts(texts, torch.arange(2).repeat_interleave(600), POLARITY, digest)


LOADERS: dict[str, Callable[[], Texts]] = {"rt-polarity": load_polarity, "templates": load_templates}
