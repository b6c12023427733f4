"""Things in an image, each with a box and a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.detection.detector import Detector

__all__ = ["Detector"]

__getattr__, __dir__ = lazily(__name__, {"Detector": "supervised.detection.detector"})
