"""The simplest answers to texts: the text itself, and the answer to the most similar training text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lab.data.base import DataModule
from lab.data.loader import testing_batches
from lab.data.tokenizers.base import Tokenizer
from supervised.translation.baselines import pairs_of

CPU = torch.device("cpu")
MOST, AT_ONCE = 20_000, 500  # training texts that are compared, and test texts with them


def nearest_answers(data: DataModule, tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    """Return the share of exact answers on the test split, by the name of the method. Texts are similar that have
    the same pairs of characters in a row, among the first 20,000 training texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    sources, references = pairs_of(list(testing_batches(data, CPU)), tokenizer)
    known, answers = (texts[:MOST] for texts in pairs_of(list(data.unchanged(CPU)), tokenizer))
    pairs = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
    kept, asked = pairs.fit_transform(known), pairs.transform(sources)
    nearest: list[int] = []
    for first in range(0, len(sources), AT_ONCE):
        similar = asked[first : first + AT_ONCE] @ kept.T
        nearest += np.asarray(similar.argmax(1)).ravel().tolist()
    return {
        "copy of the text": {"test/exact": _exact([one.partition(": ")[2] for one in sources], references)},
        "most similar text": {"test/exact": _exact([answers[place] for place in nearest], references)},
    }


def _exact(written: Sequence[str], references: Sequence[str]) -> float:
    return sum(map(str.__eq__, written, references)) / len(references)
