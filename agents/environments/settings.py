"""Gymnasium environments from settings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, cast

import gymnasium as gym
from gymnasium.wrappers import TimeLimit

from agents.environments.closing import close
from agents.environments.known import refused_id
from agents.environments.making import Wrapper, make_env, own_limit
from agents.environments.native import MakeVector, NativeEnvs, TensorEnvs, native_maker, tensor_maker
from agents.environments.randomness import (
    OwnGenerators,
    SmallSeeds,
    takes_large_seeds,
    uses_global_generators,
)
from agents.environments.resumable import Method, Resumable, choose_method, has_native_state
from agents.environments.sync import SyncEnvs
from agents.environments.vector import Environments
from agents.environments.workers import AsyncEnvs, needs_script
from agents.spaces.images import turned_images
from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt
from lab.console.notices import notice
from lab.errors import ConfigError, EnvironmentFailedError
from lab.system.cores import usable_cores

WORTH_A_PROCESS = 0.5e-3
"""Seconds per step from which each copy gets a process of its own; a message there and back takes a third of it."""

WORTH_AN_ARRAY = 3
"""Number of copies from which stepping all at once is faster than one after the other."""


class Plan(NamedTuple):
    """How the copies are stepped, how a resumed run restores them, and why that is inexact, or None."""

    vectorization: Literal["native", "tensors", "sync", "async"]
    method: Method
    inexact: str | None


@dataclass(frozen=True)
class EnvSettings:
    """Which environment, and how many copies of it.

    Args:
        id: the id in Gymnasium's registry; `module:Name-v0` imports your own module first.
        num_envs: copies that are stepped together.
        kwargs: for the environment's constructor.
        wrappers: classes of Gymnasium's kind around each environment, the first innermost: `TimeLimit`,
            `MaxAndSkipObservation`, `GrayscaleObservation`, `ResizeObservation`, `FrameStackObservation` or your own.
        training_wrappers: more of them around those, in training alone, such as `ClipReward`: evaluation is of the true
            task.
        vectorization: `native` steps all copies at once, in arrays; `sync` one after the other; `async` each in a
            process of its own. `auto` takes the fastest: `native` where one is registered with Gymnasium, else `async`
            where a step takes longer than a message, there are several cores and copies, and the environment is not
            defined in the script or notebook that runs, else `sync`. Acrobot, MountainCar and Pendulum have a `native`
            that is not registered. `tensors` steps all copies as tensors on the agent's device, in one program with the
            policy: for CartPole, Acrobot, MountainCar, Pendulum and the lab's Breakout.
        timeout: seconds within which a worker of `async` must answer.
        resume: how a resumed run gets an environment back to where it was; `auto` takes the first that fits of `native`
            (from its own state) and `replay` (of the episode's actions from its seed). `boundary` begins new episodes
            at every checkpoint, in every run: for episodes too long to replay.
    """

    roles: ClassVar[Roles] = Roles(task=("kwargs", "wrappers"), indifferent=("timeout",))

    id: str
    num_envs: PositiveInt = 1
    kwargs: dict[str, Any] = field(default_factory=dict)
    wrappers: Sequence[Wrapper] = ()
    training_wrappers: Sequence[Wrapper] = ()
    vectorization: Literal["auto", "native", "tensors", "sync", "async"] = "auto"
    timeout: PositiveFloat = 60.0
    resume: Literal["auto", "native", "replay", "boundary"] = "auto"

    @staticmethod
    def foreign(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what somebody else's config may not say: an environment that is neither the lab's nor Gymnasium's."""
        if why := refused_id(str(settings.get("id", ""))):
            yield "id", why

    def make(self, render_mode: str | None = None, *, training: bool = False) -> gym.Env[Any, Any]:
        """Make one environment. Raises ConfigError for an unknown id, bad kwargs, wrappers or a missing package."""
        wrappers = [*self.wrappers, *(self.training_wrappers if training else ())]
        wrappers.sort(key=lambda one: one is OwnGenerators)  # outermost, as wrappers may draw random numbers too
        return make_env(self.id, self.kwargs, wrappers, render_mode)

    def plan(self) -> Plan:
        """Decide how the copies are stepped and restored. Raises EnvironmentFailedError if one fails when tried."""
        if self.vectorization == "tensors":
            if self._tensors() is None:
                raise ConfigError(
                    f"env.vectorization is tensors, but {self.id} with these kwargs, wrappers and env.resume="
                    f"{self.resume} is no function of tensors; auto, native, sync or async"
                )
            return Plan("tensors", "boundary" if self.resume == "boundary" else "native", None)
        native = self.native_class(registered=self.vectorization != "native")
        if self.vectorization == "native" and native is None:
            raise ConfigError(
                f"env.vectorization is native, but {self.id} with these kwargs, wrappers and env.resume={self.resume} "
                "has no vector environment that resets in the same step; auto, sync or async"
            )
        few = self.vectorization == "auto" and self.num_envs < WORTH_AN_ARRAY
        if native is not None and self.vectorization in ("auto", "native") and not few:
            return Plan("native", "boundary" if self.resume == "boundary" else "native", None)
        chosen = self._sync_or_async() if self.vectorization == "auto" else self.vectorization
        make = partial(self.make, training=True)
        if self.resume == "native" and not has_native_state(env := make()):
            raise ConfigError(f"env.resume is native, but the state of {env} cannot be read; auto, replay or boundary")
        if self.resume == "native":
            return Plan(chosen, "native", None)
        method, inexact = choose_method(make, native=self.resume == "auto")
        if inexact is not None:
            notice(f"{inexact}: a resumed run begins new ones, and does not end as it would have")
        return Plan(chosen, "boundary" if self.resume == "boundary" else method, inexact)

    def make_vec(self, seed: int, plan: Plan, device: Any = "cpu") -> Environments:
        """Make the training environments: `num_envs` copies that can be restored as planned; tensors on `device`."""
        if plan.vectorization == "tensors":
            tensors = cast(MakeVector, self._tensors())
            return TensorEnvs(self.id, tensors(self.num_envs, device=device), seed=seed)
        if plan.vectorization == "native":
            native = cast(MakeVector, self.native_class(registered=False))
            return NativeEnvs(self.id, native(self.num_envs), seed=seed)
        makers = [partial(self._make_resumable, seed, copy, plan.method) for copy in range(self.num_envs)]
        if plan.vectorization == "async":
            return AsyncEnvs(self.id, makers, timeout=self.timeout)
        return SyncEnvs(self.id, makers)

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Return the spaces of observations and actions, as the agent sees them."""
        env = self._example(training=True)
        if self.training_wrappers:
            evaluated = self._example()
            for one, other in (
                (env.observation_space, evaluated.observation_space),
                (env.action_space, evaluated.action_space),
            ):
                if one != other:
                    changed = " ".join(f"{other} to {one}".split())  # NumPy breaks long bounds into lines
                    raise ConfigError(
                        f"env.training_wrappers must leave the spaces alone, as evaluation goes without them, and "
                        f"change {changed}; set env.wrappers instead"
                    )
        return env.observation_space, env.action_space

    def max_episode_steps(self) -> int | None:
        """Return the time limit of an episode, or None."""
        env = self._example()
        return env.spec.max_episode_steps if env.spec else None

    def own_limit(self) -> int | None:
        """Return after how many steps the environment truncates its episodes by itself; see `making.own_limit`."""
        return own_limit(self.make)

    def limited(self, max_steps: int) -> EnvSettings:
        """Return these settings, with a time limit of `max_steps` if the environment has none of its own."""
        if self.max_episode_steps() is not None:
            return self
        return replace(self, wrappers=[*self.wrappers, partial(TimeLimit, max_episode_steps=max_steps)])

    def with_own_generators(self) -> EnvSettings:
        """Return these settings, with generators of its own for an environment that uses those of the process, and with
        small seeds for one that takes no others.

        Raises EnvironmentFailedError if it fails while it is tried.
        """
        make, wrappers = partial(self.make, training=True), list(self.wrappers)
        if not takes_large_seeds(make):
            wrappers.append(SmallSeeds)
        if uses_global_generators(make):
            wrappers.append(OwnGenerators)
        return replace(self, wrappers=wrappers) if len(wrappers) > len(self.wrappers) else self

    def notes(self) -> list[str]:
        """Return what the user should know of the environment, one sentence each."""
        notes = [f"{self.id}: {one}" for one in turned_images(self._example())]
        if SmallSeeds in self.wrappers:
            notes.append(f"{self.id} takes no seeds from 2^31 on: it gets the lower 31 bits of each")
        if OwnGenerators in self.wrappers:
            notes.append(
                f"{self.id} draws from the global random generators of Python, NumPy or torch, or seeds them: it gets "
                "generators of its own, which each episode seeds"
            )
        return notes

    def render_modes(self) -> list[str]:
        """Return the environment's render modes: `human`, `rgb_array` and others."""
        env = self._example()
        return list(env.metadata.get("render_modes") or [])

    def renders(self) -> bool:
        """Whether the environment can be drawn as pictures."""
        return "rgb_array" in self.render_modes()

    def _example(self, *, training: bool = False) -> gym.Env[Any, Any]:
        """Return an environment that is closed already: it is only looked at."""
        env = self.make(training=training)
        close(env)
        return env

    def _make_resumable(self, seed: int, copy: int, method: Method) -> Resumable:
        return Resumable(self.make(training=True), seed=seed, copy=copy, method=method)

    def native_class(self, *, registered: bool = True) -> MakeVector | None:
        """Return a function that makes so many copies which step in arrays and can be resumed, or None.

        Args:
            registered: take what is registered with Gymnasium, and nothing else.
        """
        if self.wrappers or self.training_wrappers or self.resume == "replay" or (self.kwargs and registered):
            return None
        return native_maker(self.id, self._example().spec, self.kwargs, registered=registered)

    def _tensors(self) -> MakeVector | None:
        plain = not (self.wrappers or self.training_wrappers or self.resume == "replay")
        return tensor_maker(self._example().spec, self.kwargs) if plain else None

    def _sync_or_async(self) -> Literal["sync", "async"]:
        """Choose by measurement: both give the same run and differ only in speed."""
        if self.num_envs < 2 or usable_cores() < 2 or needs_script(self.id, self):
            return "sync"
        env = self.make(training=True)
        try:
            env.reset(seed=0)
            seconds: list[float] = []
            while len(seconds) < 30:
                began = time.perf_counter()
                *_, terminated, truncated, _ = env.step(env.action_space.sample())
                seconds.append(time.perf_counter() - began)
                if terminated or truncated:
                    env.reset()
            # The median: on a busy machine some steps are interrupted.
            return "async" if statistics.median(seconds) > WORTH_A_PROCESS else "sync"
        except Exception as error:  # an environment's own code may fail in any way
            raise EnvironmentFailedError(
                f"environment {env.spec.id if env.spec else env} raised {type(error).__name__}: {error}"
            ) from error
        finally:
            close(env)
