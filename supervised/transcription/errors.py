"""How many labels of a transcript are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
import torch
from torch import Tensor
from torchmetrics import Metric

Labels = Sequence[int]


class ErrorRate(Metric):  # type: ignore[misc]
    """Substitutions, deletions and insertions that turn the true labels of all sequences into the predicted ones, the
    fewest there are, divided by the number of true labels: the word error rate, with labels as words."""

    wrong: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("wrong", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted: Sequence[Labels], true: Sequence[Labels]) -> None:
        """Count the errors of some sequences. A true sequence has at least one label."""
        found = jiwer.process_words([_words(one) for one in true], [_words(one) for one in predicted])
        self.wrong += found.substitutions + found.deletions + found.insertions
        self.total += found.substitutions + found.deletions + found.hits

    def compute(self) -> Tensor:
        return self.wrong / self.total


class SequenceAccuracy(Metric):  # type: ignore[misc]
    """Share of the sequences whose labels are all right."""

    right: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted: Sequence[Labels], true: Sequence[Labels]) -> None:
        """Count the sequences that are right."""
        self.right += sum(list(one) == list(other) for one, other in zip(predicted, true, strict=True))
        self.total += len(true)

    def compute(self) -> Tensor:
        return self.right / self.total


def _words(labels: Labels) -> str:
    return " ".join(map(str, labels))
