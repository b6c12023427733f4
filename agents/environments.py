"""Gymnasium environments from settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from lab.errors import ConfigError, nearest
from lab.settings import PositiveInt

EXTRAS = ("box2d", "atari")
"""The lab's extras, each named like the package in Gymnasium's complaint about it."""


@dataclass(frozen=True)
class EnvSettings:
    """Which environment, and how many copies of it.

    Args:
        id: as registered with Gymnasium; `module:Name-v0` imports your own module first.
        num_envs: copies that are stepped together.
        kwargs: for the environment's constructor.
    """

    id: str
    num_envs: PositiveInt = 1
    kwargs: dict[str, Any] = field(default_factory=dict)

    def make(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """Make one environment. Raises ConfigError for an unknown id, bad kwargs or a missing package."""
        if "render_mode" in self.kwargs:
            raise ConfigError("env.kwargs must not hold render_mode: the lab chooses it when it films an episode")
        try:
            # Not even None where none is asked for: many own environments take no render_mode.
            chosen: dict[str, Any] = {"render_mode": render_mode} if render_mode else {}
            return gym.make(self.id, **chosen, **self.kwargs)
        except gym.error.DependencyNotInstalled as error:
            extra = next((name for name in EXTRAS if name in str(error).lower()), None)
            remedy = f"pip install 'deep-learning-lab[{extra}]'" if extra else str(error)
            raise ConfigError(f"environment {self.id} needs a package that is not installed: {remedy}") from error
        except (gym.error.Error, ModuleNotFoundError) as error:
            hint = nearest(self.id, gym.registry) or f" ({str(error).splitlines()[0]})"
            raise ConfigError(f"unknown environment {self.id!r}{hint}") from error
        except Exception as error:  # an environment's own code may fail in any way
            raise ConfigError(
                f"environment {self.id} cannot be made with env.kwargs {self.kwargs}: {type(error).__name__}: {error}"
            ) from error

    def make_vec(self) -> VecEnv:
        """Make `num_envs` copies for SB3, which step one after the other and record episode returns."""
        return DummyVecEnv([lambda: Monitor(self.make())] * self.num_envs)

    def renders(self) -> bool:
        """Whether pictures of the environment can be had."""
        env = self.make()
        env.close()
        return "rgb_array" in env.metadata.get("render_modes", [])
