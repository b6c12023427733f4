"""Hidden words guessed by counting: by how frequent each word is, and by the words on either side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches
from lab.data.tokenizers.words import Words

if TYPE_CHECKING:
    from supervised.language.masked import Hidden

# Dimensions: V token ids, M hidden words, P pairs of neighbours.

CPU = torch.device("cpu")
PRIOR = 20.0  # neighbours that the shares of all words count for, beside those that are counted
AT_ONCE = 500  # hidden words whose scores are in memory


class Beside(NamedTuple):
    """Probabilities of words, `(K, V)`, beside each of K words, and which of the K stands beside each hidden word,
    `(M,)`."""

    table: Tensor
    rows: Tensor


def masked_baselines(data: DataModule, hide: Callable[[Batch], Hidden], vocab: int) -> dict[str, dict[str, float]]:
    """Return the test metrics of the same hidden words.

    `unigrams` guesses the most frequent word. `both neighbours` multiplies how often each word follows the one on the
    left and precedes the one on the right, and divides by its share of the text, each smoothed by that share.

    Args:
        data: prepared; its training texts are counted, with words dropped where it drops some.
        hide: hides the words of a test batch.
        vocab: number of token ids.
    """
    ids = [_strung(batch) for batch in training_batches(data, CPU, seed=0)]
    tokens = torch.cat([part[part > Words.UNKNOWN] for part in ids])
    shares = tokens.bincount(minlength=vocab).float() + 0.1
    shares[: Words.UNKNOWN + 1] = 0
    shares /= shares.sum()
    pairs = torch.cat([torch.stack([part[:-1], part[1:]], 1) for part in ids])
    words, left, right = (torch.cat(found) for found in zip(*_hidden(testing_batches(data, CPU), hide), strict=True))
    after, before = _neighbours(pairs, left, shares), _neighbours(pairs.flip(1), right, shares)

    def both(some: slice) -> Tensor:
        logs = after.table[after.rows[some]].log() + before.table[before.rows[some]].log() - shares.log()
        return logs.masked_fill(shares == 0, -torch.inf)

    return {
        "unigrams": _measured(lambda some: shares.log().expand(len(words[some]), -1), words),
        "both neighbours": _measured(both, words),
    }


def _strung(batch: Batch) -> Tensor:
    """Return the token ids of a batch in a row, each sentence with padding, id 0, on both sides."""
    x = batch.inputs
    assert isinstance(x, Tensor)
    return torch.nn.functional.pad(x, (1, 1), value=Words.PAD).flatten()


def _hidden(batches: Iterable[Batch], hide: Callable[[Batch], Hidden]) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
    """Yield the hidden words of each batch, and those on their left and right as a model sees them, `(M,)` each."""
    for batch in batches:
        assert isinstance(batch.inputs, Tensor)
        seen, chosen = hide(batch)
        padded = torch.nn.functional.pad(seen, (1, 1), value=Words.PAD)
        yield batch.inputs[chosen], padded[:, :-2][chosen], padded[:, 2:][chosen]


def _neighbours(pairs: Tensor, beside: Tensor, shares: Tensor) -> Beside:
    """Return how likely each word is beside those of `(M,)`, given pairs `(P, 2)` of a word and its neighbour."""
    kinds, rows = beside.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    row = torch.full((len(shares),), -1).index_put((kinds,), torch.arange(len(kinds)))
    kept = pairs[(row[pairs[:, 0]] >= 0) & (pairs[:, 1] > Words.UNKNOWN) & (pairs[:, 0] > Words.UNKNOWN)]
    counts = torch.zeros(len(kinds), len(shares))
    counts.index_put_((row[kept[:, 0]], kept[:, 1]), torch.ones(len(kept)), accumulate=True)
    return Beside((counts + PRIOR * shares) / (counts.sum(1, keepdim=True) + PRIOR), rows)


def _measured(scores: Callable[[slice], Tensor], words: Tensor) -> dict[str, float]:
    """Return the metrics of hidden words `(M,)`, whose scores `(m, V)` are asked for in parts: all would be large."""
    nats, right = torch.zeros((), dtype=torch.float64), 0
    for start in range(0, len(words), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        logs = scores(some).log_softmax(1)
        nats -= logs.gather(1, words[some, None]).double().sum()
        right += int((logs.argmax(1) == words[some]).sum())
    return {"test/accuracy": right / len(words), "test/perplexity": float((nats / len(words)).exp())}
