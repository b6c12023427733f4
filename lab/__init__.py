"""A reinforcement-learning and generative-modelling lab: one encoder contract, one runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.evaluation import evaluate
    from lab.resuming import resume
    from lab.runner import run
    from lab.seeds import run_seeds

__all__ = ["evaluate", "resume", "run", "run_seeds"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: the runner imports torch (2 s), which `lab list` and `lab --help` never need.
    if name in __all__:
        import importlib

        where = {"evaluate": "lab.evaluation", "resume": "lab.resuming", "run": "lab.runner", "run_seeds": "lab.seeds"}
        return getattr(importlib.import_module(where[name]), name)
    raise AttributeError(f"module 'lab' has no attribute {name!r}")
