"""Agents learn what can be learned, and their targets agree with closed forms."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import lab
from agents.dqn.losses import q_targets
from lab.tracking import read_journal


class Recall(gym.Env[Any, Any]):
    """Shows one of two signs; the action that names it earns 1. Ten steps."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 10
        return self._show(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action == self.sign)
        self.left -= 1
        return self._show(), reward, self.left == 0, False, {}

    def _show(self) -> Any:
        self.sign = int(self.np_random.integers(2))
        return np.eye(2, dtype=np.float32)[self.sign]


gym.register("LabTestRecall-v0", entry_point=lambda **kwargs: Recall())


@pytest.mark.parametrize("name", ["ppo-cartpole", "dqn-cartpole"])
def test_agents_learn_signs(name: str) -> None:
    overrides = {
        "env.id": "LabTestRecall-v0",
        "total_timesteps": 6000,
        "evaluation.every": 2000,
        "agent.encoder.hidden": [16],
    }
    if name.startswith("dqn"):
        overrides |= {"agent.gradient_steps": 64, "agent.average": 0.5, "agent.gamma": 0.5}
    run = lab.run(name, overrides, runs_dir="runs")
    assert run.metrics["eval/return_mean"] == 10
    assert run.metrics["best/return_mean"] == 10
    assert run.verdict == "not-comparable"
    rows = list(read_journal(run.dir / "metrics.jsonl"))
    assert {row["axis"] for row in rows} == {"env_steps"}
    assert [row["env_steps"] for row in rows] == sorted(row["env_steps"] for row in rows)
    assert any("train/grad_norm" in row for row in rows)


def test_q_targets_closed_form() -> None:
    online, target = torch.tensor([[1.0, 2.0], [5.0, 0.0]]), torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    rewards, half = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5])
    assert q_targets(online, target, rewards, half).tolist() == [11.0, 17.0], "double: the online network chooses"
    assert q_targets(None, target, rewards, half).tolist() == [11.0, 22.0]
    cut_short = torch.tensor([0.5, 0.1])  # n-step returns are cut short at an episode's end
    assert q_targets(online, target, rewards, cut_short).tolist() == [11.0, 5.0]
    assert q_targets(online, target, rewards, torch.zeros(2)).tolist() == [1.0, 2.0], "terminated: nothing follows"


def test_ppo_plays_with_discrete_observations() -> None:
    run = lab.run("ppo-cartpole", {"env.id": "FrozenLake-v1"}, runs_dir="runs", fast_dev_run=True)
    assert run.status == "completed"
