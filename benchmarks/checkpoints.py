"""What saving costs: each experiment at its own cadence against the same one without, and its share of the time."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

import torch

import lab
from benchmarks.pairs import alternate
from lab.config.shipped import shipped
from lab.runs.summary import Summary

NEVER = 10**9
SHORTENED: dict[str, dict[str, Any]] = {
    "ppo-cartpole": {"evaluation.video": False},
    "dqn-cartpole": {"evaluation.video": False},
    "vae-mnist": {"trainer.max_epochs": 5, "model.nll_samples": 1},
    "gan-mnist": {"trainer.max_epochs": 3},
    "cnn-mnist": {"trainer.max_epochs": 3},
}
"""The agents in full; of the others two or three thousand batches, and so at least one checkpoint besides the last."""


def measure(pairs: int) -> None:
    for name in shipped():
        run = once(name)
        share = run.durations["saving"] / run.durations["train"]
        print(
            f"{name}: {run.durations['saving']:.2f} s of {run.durations['train']:.1f} s are spent saving ({share:.2%})"
        )
        saving, never = partial(train_seconds, name), partial(train_seconds, name, **{"checkpoint.steps": NEVER})
        alternate(f"{name}, default cadence / never but at the end", saving, never, pairs)


def train_seconds(name: str, **more: Any) -> float:
    return once(name, **more).durations["train"]


def once(name: str, **more: Any) -> Summary:
    overrides = SHORTENED[name] | more | {"device": "cpu", "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder:
        return lab.run(name, overrides, runs_dir=folder)
