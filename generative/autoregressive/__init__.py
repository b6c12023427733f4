"""Models that predict each token from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.autoregressive.language_model import LanguageModel

__all__ = ["LanguageModel"]

__getattr__, __dir__ = lazily(__name__, {"LanguageModel": "generative.autoregressive.language_model"})
