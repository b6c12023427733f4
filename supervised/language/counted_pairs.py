"""Neighbours of words predicted by counting them: what vectors of words have to be better than."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches, validation_batches
from lab.data.words.contexts import PAD, WordContexts
from lab.errors import ConfigError

# Dimensions: V token ids, M pairs of a word and a neighbour.

CPU = torch.device("cpu")
EPOCHS = 5  # of training pairs that are counted: frequent words are dropped anew in each
PRIORS = (100.0, 1_000.0, 10_000.0, 100_000.0)
"""How many pairs the shares of the neighbours alone count for, beside the pairs of a word; chosen by validation."""
MOST_WORDS = 20_000
"""Of a vocabulary whose pairs are counted: the table has the square of it."""


def word_counts(data: DataModule) -> Tensor:
    """Return how often each token id occurs in the training text, `(V,)`. Raises ConfigError for data that do not count
    words."""
    if not isinstance(data, WordContexts):
        raise ConfigError(f"SkipGram needs lab.data.WordContexts as its data, received {type(data).__name__}")
    return data.counts.float()


def counted_pairs(data: DataModule, noise: Tensor, negatives: int) -> dict[str, dict[str, float]]:
    """Return the test losses of scores that are best for what is counted in the training pairs.

    The best score of a pair is log p(c | w) / (n q(c)), where q is what negatives are drawn by (Levy & Goldberg 2014,
    section 3.1). By `unigrams`, p is the share of c among all neighbours; by `counted pairs`, the pairs of w are
    counted too, and the shares of all neighbours are a Dirichlet prior.

    Args:
        data: prepared.
        noise: probability with which each token id is drawn as a negative, `(V,)`.
        negatives: drawn for each pair.
    """
    noise = noise.cpu()
    batches = training_batches(data, CPU, seed=0)
    pairs = torch.cat([_pairs(batches) for _ in range(EPOCHS)])
    neighbours = pairs[:, 1].bincount(minlength=len(noise)).double() + 1
    shares = neighbours / neighbours.sum()
    chance = {"a random guess": {"test/loss": (1 + negatives) * torch.tensor(2.0).log().item()}}
    test = _pairs(testing_batches(data, CPU))
    alone = _loss(test, shares.expand(len(noise), -1), noise, negatives)
    found = chance | {"unigrams": {"test/loss": alone}}
    held_out = validation_batches(data, CPU)
    if held_out is None or len(noise) > MOST_WORDS:
        return found
    counted = torch.zeros(len(noise) ** 2).index_add_(0, pairs @ torch.tensor([len(noise), 1]), torch.ones(len(pairs)))
    counted = counted.view(len(noise), -1) / EPOCHS

    def smoothed(prior: float) -> Tensor:
        return (counted + prior * shares.float()) / (counted.sum(1, keepdim=True) + prior)

    validation = _pairs(held_out)
    best = min(PRIORS, key=lambda prior: _loss(validation, smoothed(prior), noise, negatives))
    return found | {"counted pairs": {"test/loss": _loss(test, smoothed(best), noise, negatives)}}


def _pairs(batches: Iterable[Batch]) -> Tensor:
    """Return the words and their neighbours, `(M, 2)`."""
    found = []
    for x, around in batches:
        real = around != PAD
        found.append(torch.stack([x.expand_as(around)[real], around[real]], 1))
    return torch.cat(found)


def _loss(pairs: Tensor, shares: Tensor, noise: Tensor, negatives: int) -> float:
    """Return the mean loss of pairs `(M, 2)`, given the shares of neighbours for each word, `(V, V)`."""
    words, places = pairs[:, 0].unique(return_inverse=True)  # type: ignore[no-untyped-call]
    rows = shares[words].float()  # (W, V)
    scores = (rows / (negatives * noise)).log()
    far = torch.where(noise > 0, F.logsigmoid(-scores) * noise, 0).sum(1)  # (W,)
    near = F.logsigmoid(scores[places, pairs[:, 1]])
    return -float((near.double() + negatives * far[places].double()).mean())
