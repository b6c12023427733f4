"""Models that give each image an energy: Boltzmann machines, and networks sampled by Langevin dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.energy.ebm import EBM
    from generative.energy.rbm import RBM

__all__ = ["EBM", "RBM"]

__getattr__, __dir__ = lazily(__name__, {"EBM": "generative.energy.ebm", "RBM": "generative.energy.rbm"})
