"""An agent's policy as an ONNX file: from observations to the actions that it is evaluated by."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.core.agent import Agent
from agents.dqn.dqn import DQN
from agents.networks.actor_critic import ActorCritic
from agents.networks.q_network import QPolicy
from agents.spaces.observations import to_tensor
from lab.errors import ConfigError
from lab.saving.onnx import CHECKED, write_onnx


class Policy(nn.Module):
    """The likeliest actions `(B, ...)` for observations `(B, *shape)`, and what they are chosen by: Q-values, logits or
    means."""

    low: Tensor
    high: Tensor

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.policy = copy.deepcopy(agent.acting_policy)
        self.bounded = isinstance(agent.action_space, spaces.Box)
        if isinstance(space := agent.action_space, spaces.Box):
            self.register_buffer("low", torch.as_tensor(space.low))
            self.register_buffer("high", torch.as_tensor(space.high))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.policy, QPolicy):
            values = self.policy.q_net.values(observations)
            return values.argmax(1), values
        policy = cast(ActorCritic, self.policy)
        outputs, _ = policy.actor(observations)
        actions = policy.distribution.mode(outputs)
        return torch.clamp(actions, self.low, self.high) if self.bounded else actions, outputs


def export_onnx(agent: Agent, path: Path) -> list[str]:
    """Write `path`; return notes for its user.

    Raises ConfigError for agents that have a memory, or observations of several parts, and where the extra `onnx` is
    not installed.
    """
    space = copy.deepcopy(agent.observation_space)
    if isinstance(space, spaces.Dict):
        raise ConfigError(f"an ONNX file of a policy takes one tensor, but the observations are {sorted(space.spaces)}")
    if getattr(agent.acting_policy, "recurrent", False):
        raise ConfigError("this agent has a memory, and an ONNX file of a policy has none")
    space.seed(0)
    observations = to_tensor(np.stack([space.sample() for _ in range(CHECKED)]))
    chosen_by = "q_values" if isinstance(agent, DQN) else "preferences"
    told = {"model": type(agent).__name__}
    write_onnx(Policy(agent), path, {"input": observations}, results=("actions", chosen_by), told=told)
    return [f"input {('batch', *observations.shape[1:])}, {observations.dtype}; results: actions, {chosen_by}"]
