"""Models that write one text for another: translation, and tasks that are named in the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.translation.text2text import Text2Text
    from supervised.translation.translator import Translator

__all__ = ["Text2Text", "Translator"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Text2Text": "supervised.translation.text2text",
        "Translator": "supervised.translation.translator",
    },
)
