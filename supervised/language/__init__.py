"""Models of words and sentences: vectors of words, hidden words to be guessed, questions about stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.language.masked import MaskedLanguageModel
    from supervised.language.memory_network import MemoryNetwork
    from supervised.language.skip_gram import SkipGram

__all__ = ["MaskedLanguageModel", "MemoryNetwork", "SkipGram"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "MaskedLanguageModel": "supervised.language.masked",
        "MemoryNetwork": "supervised.language.memory_network",
        "SkipGram": "supervised.language.skip_gram",
    },
)
