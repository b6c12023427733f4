"""Models that predict each token, pixel or sample of sound from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.autoregressive.language_model import LanguageModel
    from generative.autoregressive.pixelcnn import PixelCNN
    from generative.autoregressive.wavenet import WaveNet

__all__ = ["LanguageModel", "PixelCNN", "WaveNet"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "LanguageModel": "generative.autoregressive.language_model",
        "PixelCNN": "generative.autoregressive.pixelcnn",
        "WaveNet": "generative.autoregressive.wavenet",
    },
)
