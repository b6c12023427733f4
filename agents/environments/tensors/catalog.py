"""Which environments of Gymnasium, and of the lab, there are as functions of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gymnasium.envs.registration import EnvSpec

from agents.environments.tensors.acrobot import Acrobot
from agents.environments.tensors.base import TensorEnv
from agents.environments.tensors.breakout import Breakout
from agents.environments.tensors.cartpole import CartPole
from agents.environments.tensors.mountain_car import MountainCar
from agents.environments.tensors.pendulum import Pendulum

CONTROL = "gymnasium.envs.classic_control"

TENSORS: dict[str, type[TensorEnv]] = {
    f"{CONTROL}.cartpole:CartPoleEnv": CartPole,
    f"{CONTROL}.acrobot:AcrobotEnv": Acrobot,
    f"{CONTROL}.mountain_car:MountainCarEnv": MountainCar,
    f"{CONTROL}.pendulum:PendulumEnv": Pendulum,
    "agents.environments.tensors.breakout:GridBreakout": Breakout,
}
"""By where `gym.make` finds the environment."""


def tensor_env(spec: EnvSpec | None, kwargs: Mapping[str, Any]) -> TensorEnv | None:
    """Return the environment that `gym.make` would make, as functions of tensors; None where there is none, or none
    that takes these arguments."""
    if spec is None or spec.max_episode_steps is None or spec.additional_wrappers:
        return None
    kind = TENSORS.get(str(spec.entry_point))
    settings = {**spec.kwargs, **kwargs}
    if kind is None or not settings.keys() <= {one.name for one in fields(kind)} - {"max_episode_steps"}:
        return None
    return kind(max_episode_steps=spec.max_episode_steps, **settings)
