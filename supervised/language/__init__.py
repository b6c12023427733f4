"""Models of words and sentences: vectors of words, and questions about stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.language.memory_network import MemoryNetwork
    from supervised.language.skip_gram import SkipGram

__all__ = ["MemoryNetwork", "SkipGram"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "MemoryNetwork": "supervised.language.memory_network",
        "SkipGram": "supervised.language.skip_gram",
    },
)
