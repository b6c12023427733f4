"""Wrappers that Gymnasium does not have, for `env.wrappers` or `env.training_wrappers` in a config."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from lab.errors import ConfigError

FIRE = 1


class FrameSkip(gym.Wrapper[Any, Any, Any, Any]):
    """Repeats each action, sums the rewards and returns the last observation. The maximum of the last two would remove
    flicker in Atari games, but show moving things twice elsewhere.

    Args:
        env: the environment.
        skip: number of times each action is taken; fewer where an episode ends.
    """

    def __init__(self, env: gym.Env[Any, Any], skip: int = 4) -> None:
        if skip < 1:
            raise ConfigError(f"FrameSkip needs a skip of at least 1, received {skip}")
        super().__init__(env)
        self.skip = skip

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        total = 0.0
        for _ in range(self.skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


class FireToStart(gym.Wrapper[Any, Any, Any, Any]):
    """Presses FIRE in Atari games that wait for it: when a game begins, and in place of the agent's next action after a
    life is lost. Otherwise a policy that never learned to press it waits until the game's time limit.

    Put it around `AtariPreprocessing`, in training and evaluation.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        core: Any = env.unwrapped
        meanings = core.get_action_meanings() if hasattr(core, "get_action_meanings") else []
        if meanings[FIRE : FIRE + 1] != ["FIRE"]:
            raise ConfigError(f"FireToStart needs an Atari game whose action {FIRE} is FIRE, received {meanings}")
        self.lives, self.waiting = 0, False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.env.reset(seed=seed, options=options)
        observation, _, _, _, info = self.env.step(FIRE)
        self.lives, self.waiting = lives(self), False
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        result = self.env.step(FIRE if self.waiting else action)
        before, self.lives = self.lives, lives(self)
        self.waiting = self.lives < before
        return result


class EndWithLife(gym.Wrapper[Any, Any, Any, Any]):
    """Terminates an episode of an Atari game when a life is lost, so that the agent learns the value of a life (Mnih et
    al. 2015). The next episode is a new game, where SB3's EpisodicLifeEnv continues the old one. So an episode depends
    on its seed and actions alone, and can be resumed.

    Use it in `env.training_wrappers`: evaluation plays whole games.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        result = self.env.reset(seed=seed, options=options)
        self.lives = lives(self)
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        before, self.lives = self.lives, lives(self)
        return observation, reward, terminated or 0 < self.lives < before, truncated, info


def lives(env: gym.Env[Any, Any]) -> int:
    """Return the number of lives left in an Atari game; 0 in games without lives."""
    core: Any = env.unwrapped
    return int(core.ale.lives())
