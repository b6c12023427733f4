"""Reads lines of text as sources of what a model writes, such as sentences to translate, for `lab predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from lab.console.wording import count
from lab.data.files.csv import SHEETS
from lab.data.files.text import decoded
from lab.data.inputs.given import Given, padded
from lab.data.inputs.texts import text_cells, unknown_words
from lab.data.tokenizers.base import END, PAD, Tokenizer
from lab.data.tokenizers.words import Words, words_of
from lab.errors import DataError, LabError


@dataclass(frozen=True)
class Lines:
    """Reads each line of a `.txt` file or of standard input, or each row of a csv, as token ids, `(B, S)` with S at
    most `length`, with `END` after them. Empty lines are left out. Shorter lines are padded, with a mask.

    Args:
        length: most tokens that the model takes, `END` among them; of a longer line, the first ones are read.
        tokenizer: of the texts that it was trained on.
        column: of a csv with the texts.
    """

    length: int
    tokenizer: Tokenizer
    column: str = "source"
    suffixes: ClassVar = (*SHEETS, ".txt")

    def read(self, content: bytes, name: str) -> Given:
        """Return the texts of a file. Raises ConfigError where a csv lacks the column, DataError where it is no text,
        a row has none, or the vocabulary lacks a part of it."""
        if Path(name).suffix.lower() in SHEETS:
            return self._given(*text_cells(content, name, self.column), name)
        lines = decoded(content, name).replace("\r\n", "\n").split("\n")
        kept = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
        return self._given([line for _, line in kept], [{"line": number} for number, _ in kept], name)

    def read_text(self, text: str) -> Given:
        """Return one text, `(1, S)`."""
        return self._given([text.strip()], [{}], "the text")

    def _given(self, texts: Sequence[str], labels: Sequence[dict[str, Any]], name: str) -> Given:
        try:
            ids = [self.tokenizer.encode(text) for text in texts]
        except LabError as error:
            raise DataError(f"{name}: {error}") from error
        most, notes = self.length - 1, list[str]()
        if longer := sum(len(one) > most for one in ids):
            notes.append(f"{name}: {count(longer, 'line')} cut to {most} tokens, which is all that the model takes")
        if isinstance(self.tokenizer, Words):
            notes += unknown_words([words_of(text)[:most] for text in texts], labels, self.tokenizer, name)
        kept = [torch.tensor([*one[:most], END]) for one in ids]
        rows, mask = padded(kept, PAD)
        return Given(rows, labels, notes, mask=mask)
