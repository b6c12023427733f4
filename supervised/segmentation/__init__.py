"""The class of each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.segmentation.segmenter import Segmenter

__all__ = ["Segmenter"]

__getattr__, __dir__ = lazily(__name__, {"Segmenter": "supervised.segmentation.segmenter"})
