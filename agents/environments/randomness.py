"""Environments that draw from the random generators of the process, or seed them, get generators of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import gymnasium as gym

from agents.environments.closing import close
from agents.spaces.observations import alike
from lab.errors import EnvironmentFailedError
from lab.system.randomness import (
    accelerator,
    kept_randomness,
    random_state,
    restore_random_state,
    seed_everything,
)

Env = gym.Env[Any, Any]

KNOWN = ("gymnasium.", "ale_py.", "agents.environments.")
"""Modules whose environments and wrappers only use generators of their own."""

TRIED_STEPS = 50
TRIED_EPISODES = 2
MOST_STEPS = 1_000
SECONDS = 1.0
"""An environment is tried for so many steps, and on until so many episodes have ended, but no more steps or seconds."""
LARGEST_INT = 2**31 - 1
"""Of C."""


class OwnGenerators(gym.Wrapper[Any, Any, Any, Any]):
    """The global generators of Python, NumPy and torch, for this environment alone.

    `reset` seeds them with the seed of the episode, so that the episode can be repeated. Exploration and learning have
    the same random numbers as without the environment, in this process and in a worker.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.generators: dict[str, Any] | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        with self._own():
            if seed is not None:
                seed_everything(seed)
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        with self._own():
            return self.env.step(action)

    def render(self) -> Any:
        with self._own():
            return self.env.render()

    @contextmanager
    def _own(self) -> Iterator[None]:
        device = accelerator()
        with kept_randomness(device):
            if self.generators is not None:
                restore_random_state(self.generators, device)
            try:
                yield
            finally:
                self.generators = random_state(device)


class SmallSeeds(gym.Wrapper[Any, Any, Any, Any]):
    """Gives an environment seeds below 2^31, as engines take them whose seed is a C int: the lower bits of those that
    the lab derives."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.env.reset(seed=None if seed is None else seed & LARGEST_INT, options=options)


def takes_large_seeds(make: Callable[[], Env]) -> bool:
    """Try whether an environment takes the seeds that the lab derives, which have 32 bits, and not only those of 31."""
    env = make()
    try:
        if _is_known(env):
            return True
        with kept_randomness():
            return _resets(env, 2 * LARGEST_INT + 1) or not _resets(env, LARGEST_INT)
    finally:
        close(env)


def _resets(env: Env, seed: int) -> bool:
    try:
        env.reset(seed=seed)
    except Exception:  # an environment's own code may fail in any way; whoever needs it says so
        return False
    return True


def uses_global_generators(make: Callable[[], Env]) -> bool:
    """Try whether an environment draws from the generators of the process, or seeds them.

    Raises EnvironmentFailedError if it fails while it is tried.
    """
    env = make()
    if _is_known(env):
        close(env)
        return False
    env.action_space.seed(0)
    device = accelerator()
    try:
        with kept_randomness(device):
            before = random_state(device)
            env.reset(seed=0)
            steps, ended, until = 0, 0, perf_counter() + SECONDS
            while steps < TRIED_STEPS or (ended < TRIED_EPISODES and steps < MOST_STEPS and perf_counter() < until):
                *_, terminated, truncated, _ = env.step(env.action_space.sample())
                steps += 1
                if terminated or truncated:
                    ended += 1
                    env.reset()
            env.reset(seed=1)
            return not alike(before, random_state(device))
    except Exception as error:  # an environment's own code may fail in any way
        name = env.spec.id if env.spec else env
        raise EnvironmentFailedError(f"environment {name} raised {type(error).__name__}: {error}") from error
    finally:
        close(env)


def _is_known(env: Env) -> bool:
    while isinstance(env, gym.Wrapper):
        if not _module(env).startswith(KNOWN):
            return False
        env = env.env
    return _module(env).startswith(KNOWN)


def _module(env: Env) -> str:
    return f"{type(env).__module__}."
