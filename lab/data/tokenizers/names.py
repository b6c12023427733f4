"""Each name of a short list is a token, such as the digits that somebody says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.data.tokenizers.base import FILE
from lab.errors import ConfigError, nearest
from lab.system.files import write_json


@dataclass(frozen=True)
class Names:
    """Each name is a token. In a text, spaces separate them.

    Args:
        known: the names, in the order of their token ids.
    """

    known: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.known)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text. Raises ConfigError for a word that is none of the names."""
        for word in text.split():
            if word not in self.known:
                raise ConfigError(f"there is no {word!r}{nearest(word, self.known)}; known are {', '.join(self.known)}")
        return [self.known.index(word) for word in text.split()]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the names of token ids with spaces between them."""
        return " ".join(self.known[i] for i in ids)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` into `folder`, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, {"schema": 1, "kind": "names", "known": list(self.known)})
