"""N-gram models: the chance of a token given the few before it, from counts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lab.data.base import Batches, DataModule
from lab.data.loader import testing_batches, training_batches
from lab.data.spec import Tokens

CPU = torch.device("cpu")
NAMES = {1: "unigram", 2: "bigram", 5: "5-gram"}
"""The models that are tried, by their order: a 5-gram has four tokens before the one that it predicts."""

# Dimensions: N sequences, T tokens.


def ngram_baselines(data: DataModule) -> dict[str, dict[str, float]]:
    """Count n-grams in the training windows of one epoch, and return the test metrics of the models `NAMES`.

    Args:
        data: prepared, with token ids as inputs and the tokens that follow them as targets.
    """
    target = data.spec.require_tokens("an n-gram model")
    train, test = (
        _sequences(batches, target) for batches in (training_batches(data, CPU, 0), testing_batches(data, CPU))
    )
    nats = ngram_nats(train, test, vocab=target.vocab, orders=max(NAMES))
    return {
        name: {
            "test/loss": nats[order - 1],
            "test/bits_per_token": nats[order - 1] / math.log(2),
            "test/perplexity": math.exp(nats[order - 1]),
        }
        for order, name in NAMES.items()
    }


def ngram_nats(train: Tensor, test: Tensor, *, vocab: int, orders: int) -> list[float]:
    """Return the mean nats per token of n-gram models with n from 1 to `orders`.

    The estimate of each order is interpolated with that of the order below, down to equal chances, with the weights
    of Witten & Bell (1991): a context that was seen c times with t different tokens after it has the weight
    c / (c + t). Tokens near the beginning of a sequence have shorter contexts.

    Args:
        train: sequences of token ids, `(N, T)`, -1 where there is none, at the end.
        test: the same, to be predicted; the first token of a sequence is given.
        vocab: number of token ids.
        orders: of the longest n-gram.
    """
    both = torch.cat([train, test])
    tokens = both[:, 1:]
    real = tokens >= 0
    counted, judged = real.clone(), real.clone()
    counted[len(train) :], judged[: len(train)] = False, False
    # Contexts of k tokens by number, each number standing for one context in either part.
    contexts = torch.zeros_like(tokens)
    chance = torch.full(tokens.shape, 1 / vocab, dtype=torch.float64)
    nats = []
    for k in range(orders):
        if k:
            contexts[:, k - 1 :] = contexts[:, k - 1 :] * vocab + both[:, : tokens.shape[1] - k + 1].clamp(min=0)
            contexts[:, k - 1 :] = torch.unique(contexts[:, k - 1 :], return_inverse=True)[1]
        deep = torch.zeros_like(real)
        deep[:, max(0, k - 1) :] = True
        chance = _interpolated(contexts, tokens.clamp(min=0), counted & deep, judged & deep, chance, vocab)
        nats.append(float(-chance[judged].log().mean()))
    return nats


def _interpolated(
    contexts: Tensor, tokens: Tensor, counted: Tensor, judged: Tensor, lower: Tensor, vocab: int
) -> Tensor:
    """Return the chances of an order, `(N, T)`, where `judged`; and those of the order below elsewhere."""
    size = int(contexts.max()) + 1
    seen = torch.bincount(contexts[counted], minlength=size)
    pairs, numbers = torch.unique(contexts * vocab + tokens, return_inverse=True)
    together = torch.bincount(numbers[counted], minlength=len(pairs))
    kinds = torch.bincount((pairs // vocab)[together > 0], minlength=size)
    where = contexts[judged]
    total = (seen + kinds)[where]
    mixed = (together[numbers[judged]] + kinds[where] * lower[judged]) / total.clamp(min=1)
    chance = lower.clone()
    chance[judged] = torch.where(total > 0, mixed, lower[judged])
    return chance


def _sequences(batches: Batches, target: Tokens) -> Tensor:
    """Return sequences with the first input before the targets, `(N, length + 1)`, -1 where there is none."""
    rows = []
    for inputs, targets in batches:
        padded = torch.full((len(inputs), target.length + 1), -1)
        padded[:, 0] = inputs[:, 0]
        padded[:, 1 : targets.shape[1] + 1] = targets.masked_fill(targets == target.pad, -1)
        rows.append(padded)
    return torch.cat(rows)
