"""Models that predict each token or pixel from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.autoregressive.language_model import LanguageModel
    from generative.autoregressive.pixelcnn import PixelCNN

__all__ = ["LanguageModel", "PixelCNN"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "LanguageModel": "generative.autoregressive.language_model",
        "PixelCNN": "generative.autoregressive.pixelcnn",
    },
)
