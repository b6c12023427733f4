"""Images of CartPole: our rasteriser (64x64, grey) against Gymnasium's renderer (600x400, colour)."""

from __future__ import annotations

import time
from functools import partial

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from agents.environments.cartpole_vectors import CartPolePixelsVector
from agents.environments.rasterizer import SIZE, draw
from benchmarks.pairs import alternate

PICTURES = 1024


def measure(pairs: int) -> None:
    env = gym.make("CartPole-v1", render_mode="rgb_array").unwrapped
    assert isinstance(env, CartPoleEnv)
    for copies in (1, 8, 64, 1024):
        for name, ours in (("drawing", drawn), ("whole steps", stepped)):
            result = alternate(
                f"our rasteriser / Gymnasium's renderer, {name}, {copies} at once",
                partial(ours, copies),
                partial(rendered, env),
                pairs,
            )
            print(f"  pictures/s: {PICTURES / result.ours:,.0f} against {PICTURES / result.other:,.0f}")
    env.close()  # type: ignore[no-untyped-call]


def states() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.uniform(-2.4, 2.4, PICTURES), random.uniform(-0.21, 0.21, PICTURES)


def drawn(copies: int) -> float:
    x, theta = states()
    out = np.ones((copies, SIZE, SIZE), np.uint8)  # written once, so that its memory is allocated
    started = time.perf_counter()
    for i in range(0, PICTURES, copies):
        draw(x[i : i + copies], theta[i : i + copies], out=out)
    return time.perf_counter() - started


def stepped(copies: int) -> float:
    """Whole steps with a random policy: physics, drawing, the stack of four images, and resets."""
    envs = CartPolePixelsVector(copies)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 2, (PICTURES // copies, copies))
    started = time.perf_counter()
    for row in actions:
        envs.step(row)
    return time.perf_counter() - started


def rendered(env: CartPoleEnv) -> float:
    env.reset(seed=0)
    started = time.perf_counter()
    for x, theta in zip(*states(), strict=True):
        env.state = np.array([x, 0, theta, 0])
        env.render()  # type: ignore[no-untyped-call]
    return time.perf_counter() - started
