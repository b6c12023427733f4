"""Each word is a token, and so is each other sign."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from lab.data.tokenizers.base import FILE
from lab.system.files import write_json

_WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")
"""Letters and digits with apostrophes inside, such as `isn't`; or one other sign."""

CURLY = "\N{RIGHT SINGLE QUOTATION MARK}"
"""Many texts have it as the apostrophe."""


def words_of(text: str) -> list[str]:
    """Return the words and other signs of a text, in lower case and in order."""
    return _WORD.findall(text.lower().replace(CURLY, "'"))


@dataclass(frozen=True)
class Words:
    """Each word is a token, in lower case, and so is each sign that is no part of a word. Id 0 is padding, and id 1
    stands for all words that are not in the vocabulary.

    Args:
        known: the words, in the order of their token ids, from 2.
    """

    known: tuple[str, ...]
    PAD: ClassVar = 0
    UNKNOWN: ClassVar = 1

    @classmethod
    def of(cls, texts: Iterable[str], fewest: int = 1) -> Self:
        """Return the words that occur at least `fewest` times in the texts, the most frequent first; of equals, in the
        order of their characters."""
        return cls.of_words((word for text in texts for word in words_of(text)), fewest)

    @classmethod
    def of_words(cls, words: Iterable[str], fewest: int = 1) -> Self:
        """Return the same of texts that are cut into words already, such as those of a treebank."""
        counts = Counter(word.lower() for word in words)
        ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return cls(tuple(word for word, often in ranked if often >= fewest))

    def __len__(self) -> int:
        return len(self.known) + 2

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, at least one: a text without words is one unknown word."""
        return [self._ids.get(word, self.UNKNOWN) for word in words_of(text)] or [self.UNKNOWN]

    def id_of(self, word: str) -> int:
        """Return the token id of one word, which is not cut."""
        return self._ids.get(word.lower(), self.UNKNOWN)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of token ids with spaces between them. Padding is left out; `?` is an unknown word."""
        words = ("", "?", *self.known)
        return " ".join(words[i] for i in ids if i != self.PAD)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` into `folder`, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, {"schema": 1, "kind": "words", "known": list(self.known)})

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i + 2 for i, word in enumerate(self.known)}
