"""`durations.train` of ppo-cartpole against plain Stable-Baselines3 with the zoo's settings, 100,000 steps each."""

from __future__ import annotations

import tempfile
import time
from itertools import count

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import lab
from benchmarks.pairs import alternate

seeds = count()


def measure(pairs: int) -> None:
    alternate("lab run ppo-cartpole / plain SB3 PPO, zoo settings", ours, plain, pairs)


def ours() -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = lab.run("ppo-cartpole", {"seed": next(seeds), "evaluation.video": False}, runs_dir=folder)
        return run.durations["train"]


def plain() -> float:
    torch.set_num_threads(1)
    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=8, seed=next(seeds)),
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        ent_coef=0.0,
        learning_rate=lambda left: 1e-3 * left,
        clip_range=lambda left: 0.2 * left,
        device="cpu",
    )
    started = time.perf_counter()
    model.learn(100_000)
    return time.perf_counter() - started
