"""Environments whose position can be saved and restored: by their state, by replay, or by starting an episode.

Every episode is reset with a seed of its own, derived from (run's seed, copy, episode). So an episode of a
deterministic environment is a pure function of its seed and its actions, and nothing else has to be stored.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from agents.environments.closing import close
from agents.spaces.observations import alike, fitted, misfit
from lab.errors import ConfigError, EnvironmentFailedError
from lab.system.randomness import derived_seed

Env = gym.Env[Any, Any]

Method = Literal["native", "replay", "boundary", "none"]
"""How an environment is restored: `native` from its own state; `replay` by repeating the episode's actions from its
seed; `boundary` by starting new episodes at every checkpoint, in every run; `none` by starting new ones, inexactly."""

PLAIN_STATE = ("gymnasium.envs.classic_control.", "gymnasium.envs.toy_text.")
"""Modules whose environments keep all state in plain attributes."""

MOST_REPLAYED = 27_000
"""Steps of the longest episode that is replayed where no time limit bounds episodes: memory and checkpoints would grow
with every step. It is the longest game of the Arcade Learning Environment."""

EPISODE, BOUNDARY = 0, 1  # the purposes that seeds are derived for
PROBE_STEPS = 50


class Strayed(NamedTuple):
    """Stands for the observation of an environment that could not return to where it was."""


class Resumable(gym.Wrapper[Any, Any, Any, Any]):
    """The outermost wrapper of a training environment. It resets with its own seeds and ignores those it is given.

    Args:
        env: the environment.
        seed: of the run.
        copy: index among the run's environments.
        method: how `restore` returns to where `state` was taken.
    """

    def __init__(self, env: Env, *, seed: int, copy: int, method: Method) -> None:
        super().__init__(env)
        self.seed, self.copy, self.method, self.space = seed, copy, method, env.observation_space
        self.name = env.spec.id if env.spec else type(env.unwrapped).__name__
        self.episode, self.steps = 0, 0
        self.place: list[int] = []
        self.appointed: int | None = None
        self.actions: list[Any] | None = []
        """Of the episode; None once it is too long to be replayed."""
        limited = env.spec is not None and env.spec.max_episode_steps is not None
        self.most = sys.maxsize if limited else MOST_REPLAYED

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if self.appointed is not None:
            place, self.appointed = [BOUNDARY, self.appointed], None
            return self._begin(place)
        self.episode += 1
        return self._begin([EPISODE, self.episode])

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        if self.method == "replay" and self.actions is not None:
            self.actions.append(np.array(action))  # a copy: the caller may reuse its array
            if len(self.actions) > self.most:
                self.actions = None
        self.steps += 1
        try:
            observation, *found = self.env.step(action)
        except Exception as error:  # an environment's own code may fail in any way
            raise self._raised(error) from error
        return self._fitted(observation), *found

    def begin_at(self, env_steps: int) -> None:
        """Let the next reset begin the episode of the checkpoint at `env_steps`."""
        self.appointed = env_steps

    def state(self) -> dict[str, Any]:
        """Return the environment's position, as plain values."""
        state = {"episode": self.episode, "steps": self.steps, "place": self.place}
        if self.method == "replay":
            state["actions"] = np.stack(self.actions) if self.actions else None
            state["too_long"] = self.actions is None
        if self.method == "native":
            state["native"] = native_state(self.env)
        return state

    def restore(self, state: dict[str, Any]) -> Any:
        """Return to where `state` was taken. Return the observation there; None if it is not known, and Strayed if the
        environment is at the beginning of the episode instead."""
        observation, _ = self._begin(state["place"])
        if self.method in ("native", "none"):
            observation = None
        if self.method == "native":
            set_native_state(self.env, state["native"])
        if state.get("actions") is not None:
            _, observation = self.replay(state["actions"])
        self.episode, self.steps = state["episode"], state["steps"]
        return Strayed() if state.get("too_long") else observation

    def replay(self, actions: Sequence[Any], seconds: float = math.inf) -> tuple[int, Any]:
        """Repeat actions, one at least, until so many seconds have passed. Return how many it were, and the observation
        after the last."""
        began, done = time.monotonic(), 0
        while True:
            observation, *_ = self.step(actions[done])
            done += 1
            if done == len(actions) or time.monotonic() - began >= seconds:
                return done, observation

    def _begin(self, place: list[int]) -> tuple[Any, dict[str, Any]]:
        self.place, self.actions = place, []
        try:
            observation, info = self.env.reset(seed=derived_seed(self.seed, self.copy, *place))
        except Exception as error:  # an environment's own code may fail in any way
            raise self._raised(error) from error
        return self._fitted(observation), info

    def _fitted(self, observation: Any) -> Any:
        if wrong := misfit(self.space, observation):
            raise self._failed(f"gave an observation {wrong}")
        return fitted(self.space, observation)

    def _raised(self, error: Exception) -> EnvironmentFailedError:
        return self._failed(f"raised {type(error).__name__}: {error}")

    def _failed(self, what: str) -> EnvironmentFailedError:
        where = f"environment {self.name} (copy {self.copy}, its step {self.steps:,}, episode {self.episode})"
        return EnvironmentFailedError(f"{where} {what}")


def choose_method(make: Callable[[], Env], *, native: bool = True) -> tuple[Method, str | None]:
    """Return the best method for the environments that `make` returns, and why it is inexact, or None.

    Raises EnvironmentFailedError if one fails while it is tried.
    """
    env = make()
    name = env.spec.id if env.spec else str(env)
    if native and has_native_state(env):
        close(env)
        return "native", None
    try:
        other = make()
    except ConfigError as error:
        raise ConfigError(
            "the lab opens several copies of an environment at the same time, some to train in and others to evaluate; "
            f"{name} cannot be opened a second time: {error.__cause__ or error}"
        ) from error
    try:
        same = _replays(env, other)
    except Exception as error:  # an environment's own code may fail in any way
        raise EnvironmentFailedError(f"environment {name} raised {type(error).__name__}: {error}") from error
    reason = f"{name} does not repeat an episode from its seed and its actions"
    return ("replay", None) if same else ("none", reason)


def _replays(one: Env, other: Env) -> bool:
    """Whether two copies, one of which has played before, give the same episode from the same seed and actions."""
    one.action_space.seed(0)
    actions = [one.action_space.sample() for _ in range(PROBE_STEPS)]

    def play(env: Env, seed: int) -> list[Any]:
        seen = [env.reset(seed=seed)[0]]
        for action in actions:
            observation, reward, terminated, truncated, _ = env.step(action)
            seen += [observation, float(reward), terminated, truncated]
            if terminated or truncated:
                break
        return seen

    play(other, 1)
    same = alike(play(one, 0), play(other, 0))
    close(one)
    close(other)
    return same


def has_native_state(env: Env) -> bool:
    """Whether the environment's whole state can be read and set.

    This holds for Gymnasium's classic control and toy text, and for environments with `state_dict()` and
    `load_state_dict(state)`. It does not hold for the Arcade Learning Environment: its states lose the position of the
    generator behind sticky actions (0.12.1), while a replay is exact.
    """
    while isinstance(env, gym.Wrapper):
        if not isinstance(env, TimeLimit | OrderEnforcing | PassiveEnvChecker):
            return False  # an unknown wrapper may have state of its own
        env = env.env
    return type(env).__module__.startswith(PLAIN_STATE) or (
        hasattr(env, "state_dict") and hasattr(env, "load_state_dict")
    )


def native_state(env: Env) -> dict[str, Any]:
    """Return the state of an environment for which `has_native_state` holds, including its known wrappers."""
    elapsed: list[int] = []
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            elapsed.append(int(env._elapsed_steps or 0))
        env = env.env
    core: Any = env
    if hasattr(core, "state_dict"):
        own = core.state_dict()
    else:
        own = {name: value for name, value in vars(core).items() if _is_plain(value)}
    return {"elapsed": elapsed, "own": own, "random": core.np_random.bit_generator.state}


def set_native_state(env: Env, state: dict[str, Any]) -> None:
    """Restore what `native_state` returned. The environment has been reset before."""
    elapsed = list(state["elapsed"])
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            env._elapsed_steps = elapsed.pop(0)
        env = env.env
    core: Any = env
    if hasattr(core, "state_dict"):
        core.load_state_dict(state["own"])
    else:
        vars(core).update(state["own"])
    core.np_random.bit_generator.state = state["random"]


def _is_plain(value: Any) -> bool:
    """Whether this is a number, a string, an array, or a list or tuple of them: no space, window or generator."""
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "bif"
    return value is None or isinstance(value, bool | int | float | str | np.number | np.bool_)
