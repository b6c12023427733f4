"""Sentences as trees, with a rating of each part: the Stanford Sentiment Treebank, and trees from templates, which need
no download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch

from lab.config.types import PositiveInt, Probability
from lab.console.notices import notice
from lab.data.archive import members
from lab.data.base import Batches, SplitData
from lab.data.batches import Options
from lab.data.catalog import lookup
from lab.data.files.bracketed import Bracketed, parse_tree
from lab.data.inputs.trees import Parses
from lab.data.lengths import LengthBatches, moved
from lab.data.obtain import STAND_IN, obtain, require_known
from lab.data.own.texts.documents import Documents
from lab.data.spec import Classes, DataSpec, InputSpec, Tags
from lab.data.tokenizers.dropout import WordDropout
from lab.data.tokenizers.words import Words
from lab.errors import DataError

SPLITS = ("train", "dev", "test")
RATINGS = ("very negative", "negative", "neutral", "positive", "very positive")
POLARITY = ("negative", "positive")
NEUTRAL = RATINGS.index("neutral")


class RatedTrees(NamedTuple):
    """What a loader returns: the trees of training, validation and test, each node with a rating from 0 to 4, and a
    hash of all."""

    splits: tuple[Sequence[Bracketed], Sequence[Bracketed], Sequence[Bracketed]]
    sha256: str


class Treebank(SplitData):
    """Sentences with a rating, and one of each of their parts.

    As trees, inputs are the tokens and the parents of nodes, `(B, N)` each, and targets the classes of nodes, `(B, N)`,
    that of the root first. Flat, inputs are the ids of words, `(B, T)`, with the class of the sentence. Words are in
    lower case. The vocabulary is that of the training part alone.

    Args:
        name: `sst` (movie reviews, as Socher et al. 2013 split them) or `tree-templates` (generated ones).
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        classes: 5, or 2: negative and positive. Then neutral sentences are left out, and neutral parts have no class.
        form: `tree` or `flat`.
        min_count: times that a word must occur in the training part to be in the vocabulary.
        word_dropout: probability with which a training word is replaced by the unknown one, drawn anew in each epoch.
        batch_size: sentences per training batch, of similar length; the last one of an epoch may be smaller.
        eval_batch_size: sentences per validation and test batch.
    """

    def __init__(
        self,
        *,
        name: str = "sst",
        fallback: str = STAND_IN,
        classes: Literal[2, 5] = 5,
        form: Literal["tree", "flat"] = "tree",
        min_count: PositiveInt = 1,
        word_dropout: Probability = 0.0,
        batch_size: PositiveInt = 25,
        eval_batch_size: PositiveInt = 200,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback, self.classes, self.form = name, fallback, classes, form
        self.min_count, self.word_dropout = min_count, word_dropout
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def prepare(self) -> None:
        loaded, self.info = obtain(self.name, self.fallback, LOADERS)
        kept = [[tree for tree in part if self._class(tree.labels[0]) != Tags.NONE] for part in loaded.splits]
        names = RATINGS if self.classes == len(RATINGS) else POLARITY
        counted = self._vocabulary(kept[0])
        if self.form == "flat":
            longest = max(len(counted.encode(tree.text)) for part in kept for tree in part)
            self.parts = [[{"tokens": torch.tensor(counted.encode(tree.text))} for tree in part] for part in kept]
            self.spec = DataSpec(
                InputSpec((longest,), "int64", vocab=len(counted)),
                Classes(self.classes, names),
                reader=Documents(longest, counted),
            )
        else:
            longest = max(len(tree.words) for part in kept for tree in part)
            reader = Parses(longest, counted)
            self.parts = [
                [{"tokens": reader.tokens(tree), "parents": torch.tensor(tree.parents)} for tree in part]
                for part in kept
            ]
            tokens = InputSpec((longest,), "int64", vocab=len(counted) + 1)
            parents = InputSpec((longest,), "int64", vocab=longest)
            self.spec = DataSpec({"tokens": tokens, "parents": parents}, Tags(self.classes, names), reader=reader)
        self.inner = len(counted)  # of the nodes of a tree without a word
        self.labels = [[torch.tensor([*map(self._class, tree.labels)]) for tree in part] for part in kept]

    def _vocabulary(self, trees: Sequence[Bracketed]) -> Words:
        if self.form == "flat":
            return Words.of((tree.text for tree in trees), self.min_count)
        return Words.of_words((word for tree in trees for word in tree.words if word is not None), self.min_count)

    def _class(self, label: str) -> int:
        rating = int(label)
        if self.classes == len(RATINGS):
            return rating
        return Tags.NONE if rating == NEUTRAL else int(rating > NEUTRAL)

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size)

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        rows = {key: moved([one[key] for one in self.parts[split]], device) for key in self.parts[split][0]}
        labels = moved(self.labels[split], device)
        changed = WordDropout(self.word_dropout, kept=self.inner) if self.word_dropout and seed is not None else None
        options: Options = {"batch_size": batch_size, "seed": seed, "transform": changed, "drop_last": False}
        if self.form == "flat":
            return LengthBatches(rows["tokens"], torch.stack([one[0] for one in labels]), pad=Words.PAD, **options)
        return LengthBatches(rows, labels, pad_target=Tags.NONE, **options)


def load_sst() -> RatedTrees:
    """The treebank. Raises UnavailableError, DamagedDataError, or DataError where a line is no rated tree."""
    entry = lookup("sst")
    files = members(entry, announce=notice)
    splits = tuple([_rated(line) for line in files[f"{split}.txt"].decode().split("\n") if line] for split in SPLITS)
    return RatedTrees(splits, entry.sha256)  # type: ignore[arg-type]


def _rated(line: str) -> Bracketed:
    tree = parse_tree(line)
    if any(label not in ("0", "1", "2", "3", "4") for label in tree.labels):
        raise DataError(f"each part of a sentence must be rated from 0 to 4, received {line[:60]!r}")
    return tree


THINGS = ("plot", "cast", "story", "ending", "music", "script")
RATED = {
    "awful": 0, "hateful": 0, "dull": 1, "flat": 1, "clumsy": 1, "plain": 2, "long": 2,
    "fresh": 3, "warm": 3, "clever": 3, "superb": 4, "gripping": 4,
}  # fmt: skip


def load_templates() -> RatedTrees:
    """600 generated reviews: what a thing is, and often `but` before what another one is, which counts more. `never`
    turns a rating round, `very` takes it to its end."""
    random = np.random.Generator(np.random.PCG64(7))
    found: dict[str, None] = {}
    while len(found) < 600:
        text, _ = _statement(random)
        if random.random() < 0.5:
            other, last = _statement(random)
            text = f"({last} {text} ({last} (2 but) {other}))"
        found.setdefault(text)
    written = list(found)
    digest = hashlib.sha256("\n".join(written).encode()).hexdigest()
    trees = [parse_tree(text) for text in written]
    return RatedTrees((trees[:400], trees[400:500], trees[500:]), digest)


def _statement(random: np.random.Generator) -> tuple[str, int]:
    word = [*RATED][int(random.integers(len(RATED)))]
    rating, text = RATED[word], f"({RATED[word]} {word})"
    change = ("", "", "very", "never")[int(random.integers(4))]
    if change:
        rating = 4 - rating if change == "never" else (rating > NEUTRAL) * 2 + (rating >= NEUTRAL) * 2
        text = f"({rating} (2 {change}) {text})"
    thing = THINGS[int(random.integers(len(THINGS)))]
    return f"({rating} (2 (2 the) (2 {thing})) ({rating} (2 is) {text}))", rating


LOADERS: dict[str, Callable[[], RatedTrees]] = {"sst": load_sst, "tree-templates": load_templates}
