"""What a user gives a trained model to predict from, and what reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lab.data.batch import Tensors


@dataclass(frozen=True, eq=False)
class Given:
    """Inputs that were read from one file.

    Args:
        inputs: `(B, *spec.input.shape)`, or a dict of such tensors. A sequence may be shorter.
        labels: for each of the B what tells it from the others, such as `{"row": 3}`.
        notes: what was done to make them fit, one sentence each.
        scale: pixels of the file's image for each pixel of the inputs, across and down; 1 where it was not resized.
        mask: `(B, T)`, true where a sequence is real and false where it is padding; a dict with the same keys where
            `inputs` is one; None where nothing is padded.
    """

    inputs: Tensors
    labels: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()
    scale: tuple[float, float] = (1.0, 1.0)
    mask: Tensors | None = None


class Reader(Protocol):
    """Reads files as inputs of a model, by what is known of the data that it was trained on."""

    @property
    def suffixes(self) -> Sequence[str]:
        """Endings of the files that it reads, such as `.csv`: those of a folder that are taken."""

    def read(self, content: bytes, name: str) -> Given:
        """Return the inputs in a file. Raises ConfigError or DataError where it is damaged, or does not fit.

        Args:
            content: of the file.
            name: of the file, for messages.
        """


@runtime_checkable
class TextReader(Protocol):
    """A reader of texts, which may also be written in place of a file."""

    def read_text(self, text: str) -> Given:
        """Return one text as the inputs of a model."""


def padded(rows: Sequence[Tensor], pad: int = 0) -> tuple[Tensor, Tensor]:
    """Return sequences `(T_i,)` as `(B, T)`, shorter ones filled up with `pad`, and their mask, `(B, T)`."""
    found = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=pad)
    return found, torch.arange(found.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
