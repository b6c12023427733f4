"""Models that give each word of a sentence a tag, and what is told of the spans that these make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.tagging.tagger import Tagger

__all__ = ["Tagger"]

__getattr__, __dir__ = lazily(__name__, {"Tagger": "supervised.tagging.tagger"})
