"""Reads single words, for `lab predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from lab.data.files.text import decoded
from lab.data.inputs.given import Given
from lab.data.tokenizers.words import Words
from lab.errors import ConfigError, nearest


@dataclass(frozen=True)
class Vocabulary:
    """Reads words as token ids, `(B, 1)`: those of the command line, of a `.txt` file, or of standard input.

    Args:
        tokenizer: of the text that the model was trained on.
    """

    tokenizer: Words
    suffixes: ClassVar = (".txt",)
    reads_single_words: ClassVar = True
    """Whether one word that names no file is a text too."""

    def read(self, content: bytes, name: str) -> Given:
        """Return the words of a file. Raises DataError where it is no text or empty, ConfigError for words that the
        model does not know."""
        return self._given(decoded(content, name).split())

    def read_text(self, text: str) -> Given:
        """Return words with spaces between them. Raises ConfigError for words that the model does not know."""
        return self._given(text.split())

    def _given(self, words: Sequence[str]) -> Given:
        ids = [self.tokenizer.encode(word) for word in words]
        for word, found in zip(words, ids, strict=True):
            if found == [Words.UNKNOWN] or len(found) > 1:
                known = f"{len(self.tokenizer.known):,} words"
                raise ConfigError(
                    f"the model knows {known}, and {word!r} is none of them{nearest(word, self.tokenizer.known)}"
                )
        return Given(torch.tensor(ids), [{"word": word} if len(words) > 1 else {} for word in words])
