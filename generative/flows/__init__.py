"""Normalising flows: invertible networks with an exact density."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.flows.realnvp import RealNVP

__all__ = ["RealNVP"]

__getattr__, __dir__ = lazily(__name__, {"RealNVP": "generative.flows.realnvp"})
