"""Makes an agent's experiment small enough for a test. Its classes stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LIMITS = {
    "n_steps": 32,
    "n_epochs": 2,
    "learning_starts": 100,
    "buffer_size": 1000,
    "train_freq": 32,
    "gradient_steps": 8,
}
"""Largest values of the agent's own settings."""
COPIES, WIDTH = 4, 64
SHORT = {"class_path": "gymnasium.wrappers.TimeLimit", "init_args": {"max_episode_steps": 40}}


def small(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides for an experiment with an agent, given what its YAML says; none for other experiments."""
    if "agent" not in config:
        return {}
    agent = config["agent"]["init_args"]
    overrides = {f"agent.{key}": min(agent[key], most) for key, most in LIMITS.items() if key in agent}
    copies = min(config["env"].get("num_envs", 1), COPIES)
    overrides |= {"env.num_envs": copies, "evaluation.best_episodes": 2}
    if "n_epochs" in agent:  # learns from rollouts: two batches of each
        overrides["agent.batch_size"] = overrides["agent.n_steps"] * copies // 2
    if "hidden" in (encoder := agent["encoder"].get("init_args", {})):
        overrides["agent.encoder.hidden"] = [min(width, WIDTH) for width in encoder["hidden"]]
    if wrappers := config["env"].get("wrappers"):  # slow, and would start processes
        overrides |= {"env.wrappers": [*wrappers, SHORT], "env.vectorization": "sync"}
    return overrides
