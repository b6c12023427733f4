"""A deep-learning lab: one encoder contract, one runner, published references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.finders.matplotlib_rc import hide_matplotlibrc
from lab.finders.torchmetrics_light import make_torchmetrics_light
from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.evaluation import evaluate, load
    from lab.resuming import resume
    from lab.runner import run
    from lab.seeds.run_varied import run_seeds, run_varied

__all__ = [
    "evaluate",
    "load",
    "resume",
    "run",
    "run_seeds",
    "run_varied",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "evaluate": "lab.evaluation",
        "load": "lab.evaluation",
        "resume": "lab.resuming",
        "run": "lab.runner",
        "run_seeds": "lab.seeds.run_varied",
        "run_varied": "lab.seeds.run_varied",
    },
)

make_torchmetrics_light()
hide_matplotlibrc()  # here, or a library that the lab imports would bring matplotlib before
