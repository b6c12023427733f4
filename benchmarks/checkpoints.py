"""The cost of checkpoints: their share of the training time, and each experiment with checkpoints against without."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

import torch

import lab
from benchmarks.pairs import alternate
from lab.runs.summary import Summary

NEVER = 10**9
AGENT: dict[str, Any] = {"evaluation.video": False, "agent.capture": "always"}
"""`always` goes without what the user has compiled, which changes no figure then."""
SHORTENED: dict[str, dict[str, Any]] = {
    "ppo-cartpole": AGENT,
    "dqn-cartpole": AGENT,
    "vae-mnist": {"trainer.max_steps": 2300, "model.nll_samples": 1},
    "gan-mnist": {"trainer.max_epochs": 3},
    "cnn-mnist": {"trainer.max_epochs": 3},
}
"""The experiments measured, with overrides. Agents run in full; the others for 2,300 batches (vae-mnist), 1,404
(gan-mnist) and 1,287 (cnn-mnist), which is at least one checkpoint besides the last."""


def measure(pairs: int) -> None:
    for name in SHORTENED:
        run = once(name)
        share = run.durations["saving"] / run.durations["train"]
        print(
            f"{name}: {run.durations['saving']:.2f} s of {run.durations['train']:.1f} s are spent saving ({share:.2%})"
        )
        saving, never = partial(train_seconds, name), partial(train_seconds, name, **{"checkpoint.steps": NEVER})
        alternate(f"{name}, default checkpoints / only the final one", saving, never, pairs)


def train_seconds(name: str, **more: Any) -> float:
    return once(name, **more).durations["train"]


def once(name: str, **more: Any) -> Summary:
    overrides = SHORTENED[name] | more | {"device": "cpu", "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder:
        return lab.run(name, overrides, runs_dir=folder)
