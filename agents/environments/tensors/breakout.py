"""Breakout on a grid of ten by ten: a ball is to break the bricks above, and a paddle keeps it in the game.

The rules are those of MinAtar's Breakout (Young & Tian 2019, arXiv:1903.03176):

- The paddle is one cell of the bottom row, which is row 9, and moves by one cell in a step. It begins in column 4.
- The ball moves diagonally, by one cell in a step. It begins in row 3, at one of the two walls, and moves down, away
  from the wall. Walls and ceiling reflect it.
- Bricks fill rows 1 to 3. A ball that would enter a brick breaks it for a reward of 1, stays in its row and turns back
  up or down. After that it passes through bricks until it has been in a cell without one.
- A ball that would enter the bottom row is thrown back up and stays in its row if the paddle is right below it, or in
  the cell that it would enter; then it also goes back to the side it came from. Otherwise the episode ends.
- When no brick is left, all come back as the ball reaches the bottom row.
- With sticky actions, the paddle repeats its last action with a small probability (Machado et al. 2018,
  arXiv:1709.06009).

`GridBreakout-v0` is registered with Gymnasium when this module is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from agents.environments.tensors.base import Array, Moved, TensorEnv, as_type, namespace
from agents.environments.tensors.many import TensorVector
from agents.environments.tensors.one import OneCopy

SIDE, BRICK_ROWS = 10, 3
CELLS, BRICKS = SIDE * SIDE, SIDE * BRICK_ROWS
STAY, LEFT, RIGHT = range(3)
BLACK, WHITE, PADDLE, BRICK, TRAIL = (0, 0, 0), (255, 255, 255), (90, 160, 255), (220, 110, 60), (90, 90, 90)


class BreakoutState(NamedTuple):
    """Steps, int32 `(N,)`; the numbers that `move` names, int32 `(N, 9)`; which bricks are there, bool `(N, 30)`, row
    by row."""

    steps: Array
    game: Array
    bricks: Array


@dataclass(frozen=True)
class Breakout(TensorEnv):
    """Breakout on a grid. Observations are pictures of 0 and 255, uint8 `(N, 4, 10, 10)`, with a channel each for the
    paddle, the ball, the cell where the ball was before, and the bricks. Actions are 0 (stay), 1 (left) and 2 (right).

    Args:
        max_episode_steps: after which an episode is truncated. MinAtar itself has no limit.
        sticky: probability that an action is replaced by that of the step before, as in MinAtar.
    """

    draws: ClassVar[int] = 2

    max_episode_steps: int = 1000
    sticky: float = 0.1

    @property
    def observation_space(self) -> spaces.Box:
        return spaces.Box(0, 255, (4, SIDE, SIDE), np.uint8)

    @property
    def action_space(self) -> spaces.Discrete:
        return spaces.Discrete(3)

    def initial(self, uniforms: Array) -> BreakoutState:
        xp = namespace(uniforms)
        right = as_type(uniforms[:, 0] >= 0.5, xp.int32)  # at which wall the ball begins
        one, x = xp.ones_like(right), (SIDE - 1) * right
        game = xp.stack((4 * one, x, 3 * one, 1 - 2 * right, one, x, 3 * one, 0 * one, STAY * one), 1)
        everywhere = xp.arange(BRICKS, device=one.device) >= 0 * one[:, None]
        return BreakoutState(0 * one, game, everywhere)

    def observe(self, state: BreakoutState) -> Array:
        xp = namespace(state.game)
        paddle, x, y, _, _, last_x, last_y, _, _ = state.game.T
        places = xp.stack(((SIDE - 1) * SIDE + paddle, y * SIDE + x, last_y * SIDE + last_x), 1)  # (N, 3)
        filled = xp.arange(CELLS, device=x.device) == places[..., None]  # (N, 3, 100)
        none = xp.zeros_like(filled[:, 0])  # (N, 100)
        bricks = xp.concatenate((none[:, :SIDE], state.bricks, none[:, SIDE + BRICKS :]), 1)
        seen = xp.concatenate((filled, bricks[:, None]), 1)
        return as_type(seen.reshape(-1, 4, SIDE, SIDE), xp.uint8) * 255

    def move(self, state: BreakoutState, actions: Array, uniforms: Array) -> Moved:
        xp = namespace(state.game)
        paddle, x, y, dx, dy, _, _, passing, held = state.game.T  # (N,) each
        action = xp.where(uniforms[:, 1] < self.sticky, held, as_type(actions, xp.int32))
        paddle = xp.where(action == LEFT, paddle - 1, xp.where(action == RIGHT, paddle + 1, paddle)).clip(0, SIDE - 1)

        next_x, next_y = x + dx, y + dy
        dx = xp.where((next_x < 0) | (next_x >= SIDE), -dx, dx)
        dy = xp.where(next_y < 0, -dy, dy)
        next_x, next_y = next_x.clip(0, SIDE - 1), next_y.clip(min=0)

        place = xp.arange(SIDE, SIDE + BRICKS, device=x.device) == (next_y * SIDE + next_x)[:, None]  # (N, 30)
        inside = (state.bricks & place).any(1)
        broken = inside & (passing == 0)
        bricks = state.bricks & ~(place & broken[:, None])

        low = next_y == SIDE - 1
        bricks = bricks | (low & ~bricks.any(1))[:, None]
        below, beside = low & (x == paddle), low & (next_x == paddle) & (x != paddle)
        turned = broken | below | beside
        dx, dy = xp.where(beside, -dx, dx), xp.where(turned, -dy, dy)
        next_y = xp.where(turned, y, next_y)

        game = xp.stack((paddle, next_x, next_y, dx, dy, x, y, as_type(inside, xp.int32), action), 1)
        return Moved(BreakoutState(state.steps, game, bricks), as_type(broken, xp.float32), low & ~below & ~beside)


class GridBreakout(OneCopy):
    """One copy; `render` gives a picture of 160x160 pixels, in colour."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, sticky: float = 0.1, render_mode: str | None = None) -> None:
        super().__init__(Breakout(sticky=sticky), render_mode)

    def render(self) -> np.ndarray:
        """Return the picture, uint8 `(160, 160, 3)`."""
        paddle, ball, trail, bricks = self._seen()[..., None] > 0  # (10, 10, 1) each
        picture = np.where(bricks, BRICK, BLACK) + np.where(trail, TRAIL, BLACK)
        picture = np.where(ball, WHITE, np.where(paddle, PADDLE, picture)).clip(0, 255).astype(np.uint8)
        return picture.repeat(16, 0).repeat(16, 1)


class GridBreakoutVector(TensorVector):
    """Many copies."""

    def __init__(self, num_envs: int = 1, max_episode_steps: int = 1000, sticky: float = 0.1) -> None:
        super().__init__(Breakout(max_episode_steps, sticky), num_envs)


if "GridBreakout-v0" not in gym.registry:  # Gymnasium warns when a module that is loaded again registers an id twice
    gym.register(
        "GridBreakout-v0",
        entry_point=f"{__name__}:GridBreakout",
        vector_entry_point=f"{__name__}:GridBreakoutVector",
        max_episode_steps=1000,
    )
