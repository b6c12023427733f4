"""The simplest ways to translate: the source itself, and each word by its most probable translation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.tokenizers.base import MARKS, Tokenizer
from lab.data.tokenizers.words import words_of
from supervised.translation.bleu import bleu

CPU = torch.device("cpu")
ROUNDS = 5  # of expectation maximisation, as in Brown et al. 1993, section 4.1


def simple_translations(data: DataModule, tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    """Return BLEU on the test split, by the name of the method. Word by word, each word is replaced by its most
    probable translation in IBM's model 1, learned from the training pairs; unknown ones stay as they are."""
    sources, references = pairs_of(list(testing_batches(data, CPU)), tokenizer)
    table = lexicon(*pairs_of(list(data.unchanged(CPU)), tokenizer))
    by_word = [" ".join(table.get(word, word) for word in words_of(source)) for source in sources]
    return {
        "copy of the source": {"test/bleu": bleu(sources, references)},
        "word by word": {"test/bleu": bleu(by_word, references)},
    }


def lexicon(sources: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Return the most probable translation of each word of the sources, by IBM's model 1 (Brown et al. 1993, section
    4.1) without its empty word, after a few rounds of expectation maximisation."""
    known: tuple[dict[str, int], dict[str, int]] = ({}, {})
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for pair in zip(sources, targets, strict=True):
        one, other = (
            np.array([table.setdefault(word, len(table)) for word in words_of(text)], dtype=np.int64)
            for table, text in zip(known, pair, strict=True)
        )
        rows.append((one, other))
    size = len(known[1])
    # One entry for each word of a target and each of its source: which pair of words it is, and which target's word.
    words = np.concatenate([(one[None] * size + other[:, None]).ravel() for one, other in rows])
    places = np.concatenate([np.repeat(np.arange(len(other)), len(one)) for one, other in rows])
    before = np.cumsum([0, *(len(other) for _, other in rows)])[:-1]
    places += np.repeat(before, [len(one) * len(other) for one, other in rows])
    pairs, which = np.unique(words, return_inverse=True)
    owner = pairs // size
    chance = np.ones(len(pairs))
    for _ in range(ROUNDS):
        share = chance[which]
        share /= np.bincount(places, share)[places]
        counts = np.bincount(which, share, len(pairs))
        chance = counts / np.bincount(owner, counts)[owner]
    order = np.lexsort((-chance, owner))
    best = order[np.unique(owner[order], return_index=True)[1]]
    names = [list(table) for table in known]
    return {names[0][pairs[i] // size]: names[1][pairs[i] % size] for i in best}


def pairs_of(batches: Sequence[Batch], tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """Return the sources and the targets of batches, as texts."""
    found: tuple[list[str], list[str]] = ([], [])
    for batch in batches:
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.targets, torch.Tensor)
        for texts, ids in zip(found, (batch.inputs["source"], batch.targets), strict=True):
            texts += [tokenizer.decode([one for one in row if one >= len(MARKS)]) for row in ids.tolist()]
    return found
