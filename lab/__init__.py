"""A reinforcement-learning and generative-modelling lab: one encoder contract, one runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.runner import evaluate, run

__all__ = ["evaluate", "run"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: the runner imports torch (2 s), which `lab list` and `lab --help` never need.
    if name in __all__:
        from lab import runner

        return getattr(runner, name)
    raise AttributeError(f"module 'lab' has no attribute {name!r}")
