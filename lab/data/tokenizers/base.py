"""What every tokenizer does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

FILE = "tokenizer.json"

MARKS = ("<pad>", "<start>", "<end>")
"""What fills up, begins and ends a sequence that a model writes. They have the first ids."""
PAD, START, END = range(len(MARKS))


class Tokenizer(Protocol):
    """Turns texts into token ids and back."""

    def __len__(self) -> int:
        """Return the number of token ids."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text. Raises ConfigError where the vocabulary lacks a part of it, unless an id
        stands for what is unknown."""

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids."""

    def save(self, folder: Path) -> None:
        """Write it into `folder`, as `tokenizer.json`."""
