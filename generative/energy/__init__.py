"""Models that give each image an energy: Boltzmann machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.energy.rbm import RBM

__all__ = ["RBM"]

__getattr__, __dir__ = lazily(__name__, {"RBM": "generative.energy.rbm"})
