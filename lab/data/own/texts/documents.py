"""Reads texts as words, for `lab predict`."""

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
from lab.data.tokenizers.words import Words, words_of


@dataclass(frozen=True)
class Documents:
    """Reads texts as word ids, `(B, T)` with T at most `length`: the rows of a csv, a `.txt` file as one text, or the
    lines of standard input. Shorter texts are padded, with a mask.

    Args:
        length: most words that the model takes; of a longer text, the first ones are read.
        tokenizer: of the texts that it was trained on.
        column: of a csv with the texts.
    """

    length: int
    tokenizer: Words
    column: str = "text"
    suffixes: ClassVar = (*SHEETS, ".txt")

    def read(self, content: bytes, name: str) -> Given:
        """Return the texts of a file. Raises ConfigError where a csv lacks the column, DataError where it is no
        text, or a row has none."""
        ending = Path(name).suffix.lower()
        if ending in SHEETS:
            return self._given(*text_cells(content, name, self.column), name)
        text = decoded(content, name)
        if ending == ".txt":
            return self._given([text], [{}], name)
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        return self._given([line for _, line in lines], [{"line": number} for number, _ in lines], name)

    def read_text(self, text: str) -> Given:
        """Return one text, `(1, T)`."""
        return self._given([text], [{}], "the text")

    def _given(self, texts: Sequence[str], labels: Sequence[dict[str, Any]], name: str) -> Given:
        ids = [self.tokenizer.encode(text) for text in texts]
        notes = []
        if longer := sum(len(one) > self.length for one in ids):
            notes.append(
                f"{name}: {count(longer, 'text')} cut to the first {self.length} words, which is all that the "
                "model takes"
            )
        notes += unknown_words([words_of(text)[: self.length] for text in texts], labels, self.tokenizer, name)
        kept = [torch.tensor(one[: self.length]) for one in ids]
        rows, mask = padded(kept, Words.PAD)
        return Given(rows, labels, notes, mask=mask)
