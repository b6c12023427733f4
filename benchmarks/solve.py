"""Seconds from the start of training until CartPole is solved: the first of the deterministic evaluations, 20 episodes
every 4,096 steps, with a mean return of at least 475. The lab chooses its settings (`ppo-cartpole-fast`), plain SB3 has
the zoo's; both are judged by the same function, whose time counts. Ten seeds each, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents.core.agent import Agent
from benchmarks import agents
from benchmarks.pairs import one_core
from lab.configuration import load

SEEDS = 10
EVERY, EPISODES, GOAL = 4_096, 20, 475.0
ZOO_STEPS = 100_000


def measure(pairs: int) -> None:
    one_core()
    ours, theirs = [], []
    steps = load("ppo-cartpole-fast").as_dict()["total_timesteps"]
    seconds(partial(agents.lab_agent, "ppo-cartpole-fast", {}, 0), 2_048)  # imports and the like
    for seed in range(SEEDS):
        ours.append(seconds(partial(agents.lab_agent, "ppo-cartpole-fast", {}, seed), steps))
        theirs.append(seconds(partial(agents.sb3_ppo, seed), ZOO_STEPS))
        print(f"seed {seed}: {ours[-1]:.2f} s, SB3 {theirs[-1]:.2f} s", flush=True)
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(
        f"CartPole solved, median of {SEEDS} seeds: lab {statistics.median(ours):.2f} s, "
        f"SB3 {statistics.median(theirs):.2f} s, ratio {ratio:.3f}; never solved: {ours.count(np.inf)}, "
        f"{theirs.count(np.inf)}"
    )


def seconds(make: Callable[[], Any], steps: int) -> float:
    """Train until solved; infinity where that never happens."""
    torch.set_num_threads(1)
    agent = make()
    if isinstance(agent, Agent):
        agent.packages.names = frozenset()  # what the user has compiled changes no figure
    judge = Judge()
    started = time.perf_counter()
    agent.learn(steps, callback=judge)
    return time.perf_counter() - started if judge.solved else float("inf")


class Judge(BaseCallback):
    """Ends training once it is solved."""

    def __init__(self) -> None:
        super().__init__()
        self.next, self.solved = EVERY, False

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.next:
            self.next += EVERY
            self.solved = self._mean_return() >= GOAL
        return not self.solved

    def _mean_return(self) -> float:
        act = getattr(self.model, "act", None) or (lambda seen: self.model.predict(seen, deterministic=True))
        envs = [gym.make("CartPole-v1") for _ in range(EPISODES)]
        seen = {env: env.reset(seed=number)[0] for number, env in enumerate(envs)}
        total = 0.0
        while seen:
            actions, _ = act(np.stack(list(seen.values())))
            for env, action in zip(list(seen), actions, strict=True):
                seen[env], reward, terminated, truncated, _ = env.step(action)
                total += float(reward)
                if terminated or truncated:
                    del seen[env]
        return total / EPISODES
