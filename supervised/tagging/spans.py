"""Spans of tagged words, and how many of them are found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from lab.data.spec import Tags

OUTSIDE = "O"
PREFIXES = ("B-", "I-")


class Span(NamedTuple):
    """Words `first` to `end - 1`, counted from 0, and what they are."""

    label: str
    first: int
    end: int


def spans(tags: Sequence[str]) -> Iterator[Span]:
    """Yield the spans of a sentence's tags, as the CoNLL evaluation has them (Tjong Kim Sang & Buchholz 2000): `B-date`
    begins one, `I-date` goes on with it, and begins one where no date goes before it. `O` is outside of all. A tag
    without such a prefix goes on with the same tag."""
    label, first = "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        own = "" if tag == OUTSIDE else tag[2:] if tag.startswith(PREFIXES) else tag
        if label and (own != label or tag.startswith("B-")):
            yield Span(label, first, place)
            label = ""
        if own and not label:
            label, first = own, place


def rows_of(tags: Tensor, names: Sequence[str]) -> list[list[str]]:
    """Return the names of tags `(B, T)`, those of padding left out."""
    return [[names[number] for number in row if number != Tags.NONE] for row in tags.tolist()]


class SpanScore(Metric):  # type: ignore[misc]
    """The share of predicted spans that are right, of true spans that are found, and F1, their harmonic mean. A span is
    right where its label and both of its ends are.

    Args:
        names: of the tags.
        what: `precision`, `recall` or `f1`.
        label: of the spans that count; all, together, for "".
    """

    full_state_update = False
    right: Tensor
    predicted: Tensor
    true: Tensor

    def __init__(self, names: Sequence[str], what: str = "f1", label: str = "") -> None:
        super().__init__()
        self.names, self.what, self.label = names, what, label
        for state in ("right", "predicted", "true"):
            self.add_state(state, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, true: Tensor) -> None:
        """Count the spans of predicted and true tags, `(B, T)`. Where the true one is -1, both are left out."""
        predicted = predicted.masked_fill(true == Tags.NONE, Tags.NONE)
        for one, other in zip(rows_of(predicted, self.names), rows_of(true, self.names), strict=True):
            found, wanted = ({span for span in spans(row) if self.label in ("", span.label)} for row in (one, other))
            self.right += len(found & wanted)
            self.predicted += len(found)
            self.true += len(wanted)

    def compute(self) -> Tensor:
        """Return the share, from 0 to 1; 0 where there is no span."""
        parts = {"precision": self.predicted, "recall": self.true, "f1": (self.predicted + self.true) / 2}
        return self.right / parts[self.what].clamp(min=0.5)
