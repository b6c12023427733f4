"""Gymnasium environments from settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.resumable import Method, Resumable, choose_method, has_native_state
from agents.workers import AsyncEnvs
from lab.errors import ConfigError, nearest
from lab.settings import PositiveFloat, PositiveInt

EXTRAS = ("box2d", "atari")
"""The lab's extras, each named like the package in Gymnasium's complaint about it."""


@dataclass(frozen=True)
class EnvSettings:
    """Which environment, and how many copies of it.

    Args:
        id: as registered with Gymnasium; `module:Name-v0` imports your own module first.
        num_envs: copies that are stepped together.
        kwargs: for the environment's constructor.
        vectorization: `sync` steps the copies one after the other; `async` each in a process of its own.
        timeout: seconds within which a worker of `async` must answer.
        resume: how a resumed run gets an environment back to where it was; `auto` takes the first that fits of `native`
            (from its own state) and `replay` (of the episode's actions from its seed). `boundary` begins new episodes
            at every checkpoint, in every run: for episodes too long to replay.
    """

    id: str
    num_envs: PositiveInt = 1
    kwargs: dict[str, Any] = field(default_factory=dict)
    vectorization: Literal["sync", "async"] = "sync"
    timeout: PositiveFloat = 60.0
    resume: Literal["auto", "native", "replay", "boundary"] = "auto"

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
            remedy = f"pip install 'deep-learning-lab[{extra}]', in a checkout '.[{extra}]'" if extra else str(error)
            raise ConfigError(f"environment {self.id} needs a package that is not installed: {remedy}") from error
        except (gym.error.Error, ModuleNotFoundError) as error:
            hint = nearest(self.id, gym.registry) or f" ({str(error).splitlines()[0]})"
            raise ConfigError(f"unknown environment {self.id!r}{hint}") from error
        except Exception as error:  # an environment's own code may fail in any way
            raise ConfigError(
                f"environment {self.id} cannot be made with env.kwargs {self.kwargs}: {type(error).__name__}: {error}"
            ) from error

    def method(self) -> tuple[Method, str | None]:
        """Return how a resumed run gets these environments back, and why it is inexact where it is."""
        if self.resume == "native" and not has_native_state(env := self.make()):
            raise ConfigError(f"env.resume is native, but the state of {env} cannot be read; auto, replay or boundary")
        if self.resume in ("native", "boundary"):
            return self.resume, None
        return choose_method(self.make, native=self.resume == "auto")

    def make_vec(self, seed: int, method: Method) -> VecEnv:
        """Make `num_envs` copies for SB3 that record episode returns and can be resumed by `method`."""
        makers = [partial(self._make_resumable, seed, copy, method) for copy in range(self.num_envs)]
        if self.vectorization == "async":
            return AsyncEnvs(makers, timeout=self.timeout)
        return DummyVecEnv(makers)  # type: ignore[arg-type]

    def _make_resumable(self, seed: int, copy: int, method: Method) -> Resumable:
        return Resumable(Monitor(self.make()), seed=seed, copy=copy, method=method)

    def max_episode_steps(self) -> int | None:
        """The time limit of an episode; None where there is none."""
        env = self.make()
        env.close()
        return env.spec.max_episode_steps if env.spec else None

    def renders(self) -> bool:
        """Whether pictures of the environment can be had."""
        env = self.make()
        env.close()
        return "rgb_array" in env.metadata.get("render_modes", [])
