"""What every tokenizer does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
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


def fingerprint(tokenizer: Tokenizer) -> str | None:
    """Return a hash of what token ids stand for, sha256; None where the tokenizer is no dataclass of plain values, as
    those of the lab are."""
    if not is_dataclass(tokenizer):
        return None
    values = {one.name: getattr(tokenizer, one.name) for one in fields(tokenizer)}
    try:
        content = json.dumps({"kind": type(tokenizer).__name__, **values}, sort_keys=True)
    except (TypeError, ValueError):
        return None
    return hashlib.sha256(content.encode()).hexdigest()
