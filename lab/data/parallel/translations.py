"""Sentences with their translations, as subwords: descriptions of pictures, and a pair of made-up languages."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence

import torch

from lab.config.types import DataPath, PositiveInt
from lab.console.notices import notice
from lab.console.wording import count
from lab.data.base import Batches, SplitData
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.texts.lines import Lines
from lab.data.parallel.languages import languages
from lab.data.parallel.pairs import Encoded, Pair, Pairs, batches, read_pairs
from lab.data.spec import DataSpec, InputSpec, Tokens
from lab.data.tokenizers.base import PAD
from lab.data.tokenizers.subwords import Subwords
from lab.errors import DataError

SPLITS = ("train", "val", "test_2016_flickr")  # as the files of Multi30k are called


class Translations(SplitData):
    """Sentences and their translations. Inputs are `source` `(B, S)` and `written` `(B, T)`, the translation so far;
    targets are the tokens that follow, `(B, T)`. `lab.data.parallel.pairs.batches` has the details.

    Both languages share one vocabulary of subwords in lower case, learned from the training pairs alone.

    Args:
        name: `multi30k` (German to English) or `languages` (made-up ones).
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        vocab: tokens of the vocabulary, at most.
        longest: tokens of a training sentence or its translation, at most; longer pairs are left out of training.
        batch_size: pairs per training batch, of similar lengths; the last one of an epoch may be smaller.
        eval_batch_size: pairs per validation and test batch.
        path: the user's own pairs: a csv or tsv file; null for the data set of `name`. A tenth of the pairs is tested,
            and a tenth validated, chosen by a hash of the source: the same source is never on two sides.
        source: column of that file with the sources.
        target: column of that file with the translations.
    """

    def __init__(
        self,
        *,
        name: str = "multi30k",
        fallback: str = STAND_IN,
        vocab: PositiveInt = 6_000,
        longest: PositiveInt = 100,
        batch_size: PositiveInt = 128,
        eval_batch_size: PositiveInt = 200,
        path: DataPath | None = None,
        source: str = "source",
        target: str = "target",
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback, self.vocab, self.longest = name, fallback, vocab, longest
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.path, self.source, self.target = path, source, target

    def prepare(self) -> None:
        if self.path:
            loaded, self.info = own(self.path, lambda place: read_pairs(place, self.source, self.target))
        else:
            loaded, self.info = obtain(self.name, self.fallback, LOADERS)
        self.subwords = Subwords.of((text for pair in loaded.splits[0] for text in pair), self.vocab)
        train, validation, test = (self._encoded(pairs) for pairs in loaded.splits)
        fitting = [i for i, one in enumerate(zip(*train, strict=True)) if max(map(len, one)) <= self.longest]
        if not fitting:
            raise DataError(f"no training pair has at most {self.longest} tokens on each side, as data.longest has it")
        out = len(train.sources) - len(fitting)
        self.notes = [*loaded.notes, *([f"{count(out, 'pair')} of the training are longer: left out"] if out else [])]
        train = Encoded([train.sources[i] for i in fitting], [train.targets[i] for i in fitting])
        self._parts = (train, validation, test)
        sources, targets = (max(len(ids) for part in self._parts for ids in part[side]) + 1 for side in (0, 1))
        tokens = len(self.subwords)
        self.spec = DataSpec(
            {
                "source": InputSpec((sources,), "int64", vocab=tokens),
                "written": InputSpec((targets,), "int64", vocab=tokens),
            },
            Tokens(tokens, targets, PAD, self.subwords),
            reader=Lines(sources, self.subwords, self.source),
        )

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        return batches(self._parts[split], device, batch_size, seed)

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size)

    def _encoded(self, pairs: Sequence[Pair]) -> Encoded:
        sources, targets = zip(*pairs, strict=True)
        return Encoded(self.subwords.encode_all(sources), self.subwords.encode_all(targets))


def load_multi30k() -> Pairs:
    """German and English descriptions of pictures. Raises UnavailableError or DamagedDataError."""
    entry = lookup("multi30k")
    files = fetch(entry, announce=notice)

    def lines(split: str, language: str) -> list[str]:
        text = gzip.decompress(files[f"{split}.{language}.gz"].read_bytes()).decode()
        return text.removesuffix("\n").split("\n")  # some lines hold other signs that end a line elsewhere

    train, validation, test = ([*zip(lines(one, "de"), lines(one, "en"), strict=True)] for one in SPLITS)
    return Pairs((train, validation, test), entry.sha256)


LOADERS: dict[str, Callable[[], Pairs]] = {"multi30k": load_multi30k, "languages": languages}
