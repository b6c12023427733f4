"""Decoding of connectionist temporal classification (Graves et al. 2006), whose loss is
`torch.nn.functional.ctc_loss`: from a distribution at each step to a shorter sequence of labels.

A path names one label or the blank at each step. It stands for the labels that are left when repeats are merged and
then blanks taken out: with the blank `-`, `a a - a b b` stands for `a a b`. The probability of labels is the sum over
all their paths.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

# Dimensions: B sequences, T steps, V labels, the blank among them.

Chances = np.ndarray[Any, np.dtype[np.float64]]


class Transcript(NamedTuple):
    """Labels without blanks, and the logarithm of the probability that was found for them."""

    labels: list[int]
    log_probability: float


@torch.no_grad()
def greedy(logits: Tensor, mask: Tensor | None = None, *, blank: int = 0) -> list[Transcript]:
    """Return what the most probable path of each sequence stands for, with the probability of this path (Graves et al.
    2006, section 3.2, 'best path decoding').

    Args:
        logits: `(B, T, V)`.
        mask: `(B, T)`, true where a step is real; the real steps stand first.
        blank: number of the blank among the labels.
    """
    score, path = logits.log_softmax(2).max(2)
    if mask is not None:
        score, path = score.masked_fill(~mask.bool(), 0), path.masked_fill(~mask.bool(), blank)
    begins = torch.ones_like(path, dtype=torch.bool)  # a label that is not a repeat
    begins[:, 1:] = path[:, 1:] != path[:, :-1]
    kept = begins & (path != blank)
    totals = score.sum(1).tolist()
    return [Transcript(row[keep].tolist(), total) for row, keep, total in zip(path, kept, totals, strict=True)]


@torch.no_grad()
def prefix_beam_search(
    logits: Tensor, mask: Tensor | None = None, *, width: int = 16, blank: int = 0
) -> list[list[Transcript]]:
    """Return the most probable labels of each sequence, the best first, at most `width` of them.

    At each step the `width` most probable beginnings are kept, each as the sum of its paths that end in a blank and of
    those that do not (Hannun et al. 2014, 'First-pass large vocabulary continuous speech recognition using
    bi-directional recurrent DNNs', algorithm 1, without a language model). A probability is exact where no beginning
    was dropped; otherwise it may lack paths and be too low.

    Args:
        logits: `(B, T, V)`.
        mask: `(B, T)`, true where a step is real; the real steps stand first.
        width: beginnings that are kept.
        blank: number of the blank among the labels.
    """
    steps = logits.cpu().double().log_softmax(2)  # not every device has doubles
    lengths = [logits.shape[1]] * len(logits) if mask is None else mask.sum(1).tolist()
    return [_search(one[:length].numpy(), width, blank) for one, length in zip(steps, lengths, strict=True)]


def _search(steps: Chances, width: int, blank: int) -> list[Transcript]:
    """Return the best transcripts, given the log-probabilities of all labels at each step, `(T, V)`."""
    beginnings: list[tuple[int, ...]] = [()]
    # Log-probability of all paths for a beginning that end in a blank, and of those that end in its last label.
    after_blank, after_label = np.zeros(1), np.full(1, -np.inf)
    for chances in steps:
        either = np.logaddexp(after_blank, after_label)
        last = np.array([one[-1] if one else blank for one in beginnings])
        longer = either[:, None] + chances  # by each label
        # The same label once more is a new one only after a blank; else it is merged.
        longer[np.arange(len(last)), last] = after_blank + chances[last]
        longer[:, blank] = -np.inf
        after_blank, after_label = either + chances[blank], after_label + chances[last]
        place = {one: number for number, one in enumerate(beginnings)}
        for number, one in enumerate(beginnings):
            if one and (shorter := place.get(one[:-1])) is not None:  # another beginning that becomes this one
                after_label[number] = np.logaddexp(after_label[number], longer[shorter, one[-1]])
                longer[shorter, one[-1]] = -np.inf
        totals = np.concatenate([np.logaddexp(after_blank, after_label), longer.flatten()])
        best = [number for number in np.argsort(-totals, kind="stable")[:width].tolist() if totals[number] > -np.inf]
        kept = [(number, None) if number < len(last) else divmod(number - len(last), len(chances)) for number in best]
        after_blank = np.array([after_blank[old] if new is None else -np.inf for old, new in kept])
        after_label = np.array([after_label[old] if new is None else longer[old, new] for old, new in kept])
        beginnings = [beginnings[old] if new is None else (*beginnings[old], new) for old, new in kept]
    totals = np.logaddexp(after_blank, after_label).tolist()
    return [Transcript(list(one), total) for one, total in zip(beginnings, totals, strict=True)]
