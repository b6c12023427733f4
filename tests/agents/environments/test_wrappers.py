from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents.environments.wrappers import EndWithLife, FireToStart, FrameSkip, lives
from lab.errors import ConfigError

FRAMES = 3000
NOOP = 0


def breakout() -> gym.Env[Any, Any]:
    pytest.importorskip("ale_py", reason="needs the extra `atari`")
    return gym.make("ale_py:BreakoutNoFrameskip-v4")


def lives_left(env: gym.Env[Any, Any], frames: int) -> int:
    """Lives after so many frames in which the agent does nothing, or at the game's end."""
    env.reset(seed=0)
    for _ in range(frames):
        _, _, terminated, truncated, _ = env.step(NOOP)
        if terminated or truncated:
            break
    return lives(env)


def test_frame_skip_repeats_actions() -> None:
    plain, skipping = gym.make("CartPole-v1"), FrameSkip(gym.make("CartPole-v1"), skip=3)
    plain.reset(seed=1), skipping.reset(seed=1)
    for action in (0, 1, 1):
        steps = [plain.step(action) for _ in range(3)]
        observation, reward, *_ = skipping.step(action)
        assert np.array_equal(observation, steps[-1][0])
        assert reward == sum(float(step[1]) for step in steps)


def test_frame_skip_stops_at_end() -> None:
    env = FrameSkip(gym.make("CartPole-v1"), skip=100)
    env.reset(seed=0)
    _, reward, terminated, truncated, _ = env.step(0)
    assert terminated
    assert not truncated
    assert 1 < reward < 20
    with pytest.raises(ConfigError, match="at least 1, received 0"):
        FrameSkip(gym.make("CartPole-v1"), skip=0)


def test_fire_is_pressed() -> None:
    assert lives_left(breakout(), FRAMES) == 5, "the game waits"
    assert lives_left(FireToStart(breakout()), FRAMES) == 0


def test_lost_life_ends_episode() -> None:
    env = EndWithLife(FireToStart(breakout()))
    for _ in range(2):
        assert lives_left(env, FRAMES) == 4


def test_fire_needs_fire() -> None:
    with pytest.raises(ConfigError, match="needs an Atari game whose action 1 is FIRE"):
        FireToStart(gym.make("CartPole-v1"))
