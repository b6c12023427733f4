"""Decoding of connectionist temporal classification (Graves et al. 2006), whose loss is
`torch.nn.functional.ctc_loss`: from a distribution at each step to a shorter sequence of labels.

A path names one label or the blank at each step. It stands for the labels that are left when repeats are merged and
then blanks taken out: `a a - a b b` for `a a b`. The probability of labels is the sum over all their paths.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor

# Dimensions: B sequences, T steps, V labels, the blank among them.


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
    steps = logits.double().log_softmax(2).cpu()
    lengths = [logits.shape[1]] * len(logits) if mask is None else mask.sum(1).tolist()
    return [_search(one[:length].tolist(), width, blank) for one, length in zip(steps, lengths, strict=True)]


def _search(steps: list[list[float]], width: int, blank: int) -> list[Transcript]:
    """Return the best transcripts, given the log-probabilities of all labels at each step."""
    labels = [label for label in range(len(steps[0]) if steps else 0) if label != blank]
    # Log-probability of all paths for a beginning that end in a blank, and of those that end in its last label.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for chances in steps:
        ends_blank: defaultdict[tuple[int, ...], float] = defaultdict(lambda: -math.inf)
        ends_label: defaultdict[tuple[int, ...], float] = defaultdict(lambda: -math.inf)
        for beginning, (after_blank, after_label) in beams.items():
            either = _sum(after_blank, after_label)
            ends_blank[beginning] = _sum(ends_blank[beginning], either + chances[blank])
            last = beginning[-1] if beginning else None
            if last is not None:  # a repeat of the last label is merged with it
                ends_label[beginning] = _sum(ends_label[beginning], after_label + chances[last])
            for label in labels:
                longer = (*beginning, label)
                # The same label once more is a new one only after a blank.
                before = after_blank if label == last else either
                ends_label[longer] = _sum(ends_label[longer], before + chances[label])
        totals = {one: _sum(ends_blank[one], ends_label[one]) for one in {**ends_blank, **ends_label}}
        best = sorted(totals, key=totals.__getitem__, reverse=True)[:width]
        beams = {one: (ends_blank[one], ends_label[one]) for one in best if totals[one] > -math.inf}
    return [Transcript(list(one), _sum(*both)) for one, both in beams.items()]


def _sum(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))
