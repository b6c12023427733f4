"""Breakout on a grid follows its written rules, which are spelled out here once more for one copy and one step."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from agents.environments.resumable import has_native_state, native_state, set_native_state
from agents.environments.settings import EnvSettings
from agents.environments.tensors.breakout import LEFT, RIGHT, Breakout, GridBreakoutVector
from agents.evaluation.episodes import episode_seeds, play_episodes
from agents.evaluation.together import play_together

COPIES = 12


class Slow:
    """The rules in plain Python."""

    def __init__(self, at_right: bool) -> None:
        self.paddle, self.ball, self.before = 4, (3, 9 if at_right else 0), (3, 9 if at_right else 0)
        self.down, self.right = True, not at_right
        self.bricks = {(row, column) for row in (1, 2, 3) for column in range(10)}
        self.passing, self.last_action = False, 0

    def step(self, action: int, sticks: bool) -> tuple[int, bool]:
        """Return reward, and whether the episode has ended."""
        if sticks:
            action = self.last_action
        self.last_action = action
        if action == LEFT and self.paddle > 0:
            self.paddle -= 1
        if action == RIGHT and self.paddle < 9:
            self.paddle += 1
        (row, column), reward, over = self.ball, 0, False
        self.before = self.ball
        to_row, to_column = row + (1 if self.down else -1), column + (1 if self.right else -1)
        if to_column in (-1, 10):
            self.right = not self.right
            to_column = column
        if to_row == -1:
            self.down, to_row = True, 0
        if (to_row, to_column) in self.bricks:
            if not self.passing:
                self.bricks.remove((to_row, to_column))
                self.down, to_row, reward = not self.down, row, 1
            self.passing = True
        else:
            self.passing = False
        if to_row == 9:
            if not self.bricks:
                self.bricks = {(row, column) for row in (1, 2, 3) for column in range(10)}
            if self.paddle == column:
                self.down, to_row = False, row
            elif self.paddle == to_column:
                self.down, self.right, to_row = False, not self.right, row
            else:
                over = True
        self.ball = (to_row, to_column)
        return reward, over

    def picture(self) -> np.ndarray:
        seen = np.zeros((4, 10, 10), np.uint8)
        seen[0, 9, self.paddle] = 255
        seen[1][self.ball] = 255
        seen[2][self.before] = 255
        for brick in self.bricks:
            seen[3][brick] = 255
        return seen


def chasing(paddle: torch.Tensor, x: torch.Tensor, dx: torch.Tensor) -> torch.Tensor:
    """Actions `(N,)` that follow the ball."""
    ahead = (x + dx).clamp(0, 9)
    return torch.where(ahead > paddle, RIGHT, torch.where(ahead < paddle, LEFT, 0))


def test_rules_are_as_written() -> None:
    """Some copies chase the ball, others act at random, so that walls, bricks, paddle and floor are all met."""
    env, generator = Breakout(), torch.Generator().manual_seed(0)
    noise = torch.rand(COPIES, 2, generator=generator)
    state = env.initial(noise)
    slow = [Slow(bool(u >= 0.5)) for u in noise[:, 0]]
    ends = 0
    for _ in range(200):
        np.testing.assert_array_equal(env.observe(state), [one.picture() for one in slow])
        chosen = chasing(*state.game[:, [0, 1, 3]].unbind(1))
        wild = torch.rand(COPIES, generator=generator) < 0.3 * (torch.arange(COPIES) >= 4)
        chosen = torch.where(wild, torch.randint(3, (COPIES,), generator=generator), chosen)
        noise = torch.rand(COPIES, 2, generator=generator)
        stepped = env.step(state, chosen, noise)
        found = [one.step(int(a), bool(u < 0.1)) for one, a, u in zip(slow, chosen, noise[:, 1], strict=True)]
        assert list(zip(stepped.rewards.int().tolist(), stepped.terminated.tolist(), strict=True)) == found
        np.testing.assert_array_equal(stepped.last, [one.picture() for one in slow])
        slow = [
            Slow(bool(u >= 0.5)) if over else one for one, u, (_, over) in zip(slow, noise[:, 0], found, strict=True)
        ]
        ends += sum(over for _, over in found)
        state = stepped.state
    assert ends > 5


def test_cleared_bricks_come_back() -> None:
    """The last brick is broken, and the next ball that the paddle meets finds all of them again."""
    env, generator = Breakout(sticky=0.0), torch.Generator().manual_seed(0)
    state = env.initial(torch.rand(1, 2, generator=generator))
    state = state._replace(bricks=torch.zeros(1, 30, dtype=torch.bool))
    counts = []
    for _ in range(12):
        state = env.move(state, chasing(*state.game[:, [0, 1, 3]].unbind(1)), torch.rand(1, 2)).state
        counts.append((int(state.game[0, 4]), int(state.bricks.sum())))
    assert counts[4] == (1, 0)
    assert (-1, 30) in counts


def test_one_copy_is_a_gymnasium_environment() -> None:
    """Gymnasium's own checker finds nothing; the copy is restored from its state; its time limit ends an episode."""
    env: Any = gym.make("GridBreakout-v0", render_mode="rgb_array", max_episode_steps=3)
    check_env(env.unwrapped, skip_render_check=True)
    assert has_native_state(env)
    env.reset(seed=0)
    assert env.render().shape == (160, 160, 3)
    saved = copy.deepcopy(native_state(env))
    seen = [env.step(1) for _ in range(3)]
    assert [truncated for *_, truncated, _ in seen] == [False, False, True]
    env.reset(seed=1)
    set_native_state(env, saved)
    for one, other in zip(seen, [env.step(1) for _ in range(3)], strict=True):
        np.testing.assert_array_equal(one[0], other[0])


class Chases:
    """Follows the ball, and errs where it is at the wall, so that episodes have different lengths."""

    def act(self, observations: Any, memory: Any = None) -> tuple[np.ndarray, Any]:
        cells = observations[:, :3].reshape(len(observations), 3, -1).argmax(-1) % 10  # columns of paddle, ball, trail
        paddle, x, before = torch.from_numpy(cells).unbind(1)
        return chasing(paddle, x, (x - before).sign()).numpy(), None


def test_evaluation_in_one_vector() -> None:
    """Each copy draws from a generator of its own, so that it plays the episodes of an environment of its own."""
    seeds, settings = episode_seeds(3, "judge", 6), EnvSettings("GridBreakout-v0")
    together = play_together(Chases(), settings, seeds)
    alone = play_episodes(Chases(), settings, seeds, native=False)
    assert together is not None
    np.testing.assert_array_equal(together.returns, alone.returns)
    np.testing.assert_array_equal(together.lengths, alone.lengths)
    assert len(set(alone.lengths)) > 1
    assert together.returns.max() > 3


def test_seeds_are_for_each_copy() -> None:
    with pytest.raises(ValueError, match="one for each of 4 copies in NumPy arrays, received 3"):
        GridBreakoutVector(4).reset(seed=[1, 2, 3])
