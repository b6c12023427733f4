"""Many environments stepped together: what the agents' loops need of them, and SB3's interface on top of it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from agents.spaces.observations import at, each
from lab.errors import EnvironmentFailedError


class Steps(NamedTuple):
    """One step of `N` environments. An episode that ends is followed by the next one at once.

    Args:
        observations: `(N, *shape)`, of the new episode where one has ended; valid until the next step.
        rewards: `(N,)` float32.
        terminated: `(N,)` bool, ended by the task itself: nothing would follow.
        truncated: `(N,)` bool, cut off, by a time limit for example.
        last: `(N, *shape)`, the last observations of the episodes that ended, with rows of no meaning for the others;
            None where none did.
    """

    observations: Any
    rewards: np.ndarray[Any, Any]
    terminated: np.ndarray[Any, Any]
    truncated: np.ndarray[Any, Any]
    last: Any | None


class EpisodeResult(NamedTuple):
    """Undiscounted return, and length in steps."""

    reward: float
    length: int


class Environments(VecEnv):
    """`N` copies of an environment. Unlike SB3's, they step without a dict for each copy, record the episodes that have
    ended, and can save and restore their state.

    Args:
        name: for messages.
        num_envs: `N`.
        observation_space: of one copy.
        action_space: of one copy.
    """

    reward_range = (-np.inf, np.inf)

    def __init__(
        self, name: str, num_envs: int, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> None:
        self.name = name.rpartition(":")[2]
        super().__init__(num_envs, observation_space, action_space)
        self.rewards, self.lengths = np.zeros(num_envs), np.zeros(num_envs, dtype=np.int64)
        self.steps, self.episodes = 0, np.zeros(num_envs, dtype=np.int64)
        self.ended: list[EpisodeResult] = []
        """Episodes that have ended since this list was last cleared."""
        self.actions: np.ndarray[Any, Any] | None = None

    @abstractmethod
    def _step(self, actions: np.ndarray[Any, Any]) -> Steps:
        """Step all copies."""

    @abstractmethod
    def _reset(self) -> Any:
        """Begin new episodes in all copies; return observations `(N, *shape)`."""

    @abstractmethod
    def _state(self) -> Any:
        """Return where the copies are, as plain values."""

    @abstractmethod
    def _restore(self, state: Any) -> list[Any]:
        """Go there; return each copy's observation, None where it cannot be asked for."""

    @abstractmethod
    def begin_at(self, env_steps: int) -> None:
        """Let the next reset begin episodes that belong to the checkpoint at `env_steps`."""

    def advance(self, actions: np.ndarray[Any, Any]) -> Steps:
        """Step all copies with actions `(N, ...)`. Raises EnvironmentFailedError, also for what is not finite."""
        self.steps += 1
        steps = self._step(actions)
        self._check(steps)
        self._count(steps)
        return steps

    def _check(self, steps: Steps) -> None:
        """Raise EnvironmentFailedError where a number is not finite."""
        if steps.last is not None or not self._looks_finite(steps):
            self._require_finite(steps)

    def _count(self, steps: Steps) -> None:
        """Count a step in the sums over episodes."""
        self.rewards += steps.rewards
        self.lengths += 1
        if steps.last is not None:
            for i in np.flatnonzero(steps.terminated | steps.truncated):
                self.ended.append(EpisodeResult(float(self.rewards[i]), int(self.lengths[i])))
                self.rewards[i], self.lengths[i] = 0.0, 0
                self.episodes[i] += 1

    def reset(self) -> VecEnvObs:
        observations = self._reset()
        self.rewards[:], self.lengths[:] = 0.0, 0
        self.episodes += 1
        self._require_finite_observations(observations)
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[no-any-return]

    def state(self) -> dict[str, Any]:
        """Return where all copies are."""
        counts = {"rewards": self.rewards.copy(), "lengths": self.lengths.copy(), "episodes": self.episodes.copy()}
        return {"copies": self._state(), "steps": self.steps, **counts}

    def restore(self, state: dict[str, Any]) -> list[Any]:
        """Go to where `state` was taken; return each copy's observation there, None where it cannot be asked for.

        Raises ValueError for the state of another number of copies.
        """
        if (count := len(state["rewards"])) != self.num_envs:
            raise ValueError(f"it is of {count} copies of the environment, and there are {self.num_envs}")
        seen = self._restore(state["copies"])
        self.rewards, self.lengths, self.episodes = (
            np.array(state[name]) for name in ("rewards", "lengths", "episodes")
        )
        self.steps = state["steps"]
        self.ended.clear()
        return seen

    def step_async(self, actions: np.ndarray[Any, Any]) -> None:
        self.actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """A step as SB3 and its callbacks know it, with a dict for each copy."""
        assert self.actions is not None
        before = len(self.ended)
        steps = self.advance(self.actions)
        infos = self.infos(steps, self.ended[before:])
        del self.ended[before:]
        copied = each(np.copy, steps.observations)
        return copied, steps.rewards, steps.terminated | steps.truncated, infos

    def infos(self, steps: Steps, ended: Sequence[EpisodeResult]) -> list[dict[str, Any]]:
        """Return SB3's info dicts; `ended` are the episodes that this very step has ended."""
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if steps.last is not None:
            for i, episode in zip(np.flatnonzero(steps.terminated | steps.truncated), ended, strict=True):
                infos[i] = {
                    "terminal_observation": each(np.copy, at(steps.last, i)),
                    "TimeLimit.truncated": bool(steps.truncated[i] and not steps.terminated[i]),
                    "episode": {"r": episode.reward, "l": episode.length, "t": 0.0},
                }
        return infos

    def _looks_finite(self, steps: Steps) -> bool:
        """Check the sums, which is fastest. A sum may overflow, so False means that each number must be checked."""
        observations = steps.observations
        parts = observations.values() if isinstance(observations, dict) else (observations,)
        with np.errstate(over="ignore", invalid="ignore"):
            return math.isfinite(steps.rewards.sum() + sum(part.sum() for part in parts if part.dtype.kind == "f"))

    def _require_finite(self, steps: Steps) -> None:
        if not np.isfinite(steps.rewards).all():
            i = int(np.flatnonzero(~np.isfinite(steps.rewards))[0])
            raise EnvironmentFailedError(f"{self.where(i)} gave the reward {steps.rewards[i]}")
        self._require_finite_observations(steps.observations)
        if steps.last is not None:
            ended = np.flatnonzero(steps.terminated | steps.truncated)
            self._require_finite_observations(at(steps.last, ended), ended)

    def _require_finite_observations(self, observations: Any, copies: np.ndarray[Any, Any] | None = None) -> None:
        parts = observations.values() if isinstance(observations, dict) else (observations,)
        for part in parts:
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                row = int(np.flatnonzero(~np.isfinite(part.reshape(len(part), -1)).all(1))[0])
                i = copies[row] if copies is not None else row
                raise EnvironmentFailedError(f"{self.where(i)} gave an observation that is not finite: {part[row]}")

    def where(self, i: int) -> str:
        """Name a copy and its place, for messages."""
        return f"environment {self.name} (copy {i}, its step {self.steps:,}, episode {self.episodes[i]})"
