"""Models of trees: what nested lists make, and the sentiment of each part of a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.trees.evaluator import Evaluator
    from supervised.trees.nodes import NodeClassifier

__all__ = ["Evaluator", "NodeClassifier"]

__getattr__, __dir__ = lazily(
    __name__, {"Evaluator": "supervised.trees.evaluator", "NodeClassifier": "supervised.trees.nodes"}
)
