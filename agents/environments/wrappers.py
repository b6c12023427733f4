"""Wrappers that Gymnasium does not have; a config names them under `env.wrappers` or `env.training_wrappers`."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from lab.errors import ConfigError

FIRE = 1


class FrameSkip(gym.Wrapper[Any, Any, Any, Any]):
    """Repeats each action, adds up the rewards and shows the last observation. Not the maximum of the last two, which
    undoes the flicker of Atari and doubles whatever moves elsewhere.

    Args:
        env: the environment.
        skip: times each action is taken; fewer where an episode ends.
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
    """Presses FIRE in Atari games that wait for it: when a game begins, and instead of the agent's next action after a
    life is lost. Without it a policy that never learned to press it stands still until the game's time limit.

    Belongs around `AtariPreprocessing`, in evaluation as in training.
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
    """Lets an episode of an Atari game terminate when a life is lost, so that the agent learns what a life is worth
    (Mnih et al. 2015). The next one is a new game, where SB3's EpisodicLifeEnv goes on with the old one: so an episode
    follows from its seed and actions alone, and can be resumed.

    For `env.training_wrappers`: evaluation is of whole games.
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
    """Return the lives left in an Atari game; 0 in games without them."""
    core: Any = env.unwrapped
    return int(core.ale.lives())
