"""Each character is a token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from lab.console.wording import some
from lab.data.tokenizers.base import FILE
from lab.errors import ConfigError
from lab.system.files import write_json

SHOWN = 100  # characters of a vocabulary in a sentence


@dataclass(frozen=True)
class Characters:
    """Each character is a token.

    Args:
        known: the characters, in the order of their token ids.
        marks: ids before those of the characters that stand for no text, such as `MARKS`.
    """

    known: str
    marks: int = 0

    @classmethod
    def of(cls, text: str, marks: int = 0) -> Self:
        """Return the characters of a text, sorted."""
        return cls("".join(sorted(set(text))), marks)

    def __len__(self) -> int:
        return self.marks + len(self.known)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text. Raises ConfigError for characters that are not in the vocabulary."""
        if unknown := sorted(set(text) - self._ids.keys()):
            known = self.known if len(self.known) <= SHOWN else f"{self.known[:SHOWN]}..."
            lacking = some([repr(one) for one in unknown], most=10)
            raise ConfigError(f"the vocabulary has no {lacking}; its {len(self.known):,} characters are {known!r}")
        return [self._ids[character] for character in text]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids. Marks are left out."""
        return "".join(self.known[i - self.marks] for i in ids if i >= self.marks)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` into `folder`, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, {"schema": 1, "kind": "characters", "known": self.known, "marks": self.marks})

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.known, self.marks)}
