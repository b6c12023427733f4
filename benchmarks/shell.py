"""From the shell to the figure: `lab run ppo-cartpole`, everything included, beside scripts for SB3, SBX and rejax.

All train for 100,000 steps with the zoo's settings, play 100 episodes with the final policy and save it. Each is
started as a process, so imports and each side's compilation count. The lab also films episodes, keeps checkpoints and
chooses the best policy by evaluations during training. `python -m benchmarks.shell PEER SEED` is the script of a peer.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compiled import TENSORS, with_programs, without_programs
from benchmarks.left_out import left_out_if_missing, require
from benchmarks.pairs import alternate, one_core

STEPS, EPISODES = 100_000, 100
PEERS = {"sb3": (), "sbx": ("sbx",), "rejax": ("rejax", "gymnax")}
"""The packages of each."""

seeds = count()


def measure(pairs: int) -> None:
    one_core()
    with without_programs() as variables:
        _beside_peers(pairs, "", variables)
    with left_out_if_missing("lab run with compiled programs"), with_programs("ppo-cartpole", TENSORS) as variables:
        _beside_peers(pairs, " with compiled programs", variables, TENSORS)


def _beside_peers(pairs: int, way: str, variables: Mapping[str, str], *words: str) -> None:
    for peer, packages in PEERS.items():
        title = f"lab run ppo-cartpole{way} / script for {peer}, {STEPS} steps and {EPISODES} episodes, from the shell"
        with tempfile.TemporaryDirectory() as runs, left_out_if_missing(title):
            require(*packages)
            alternate(title, partial(_ours, runs, variables, words), partial(_theirs, peer), pairs)


def _ours(runs: str, variables: Mapping[str, str], words: Sequence[str]) -> float:
    command = ["run", "ppo-cartpole", "--device=cpu", "--threads=1", f"--seed={next(seeds)}", "--runs-dir", runs]
    return _seconds(["-m", "lab.cli", *command, *words], variables)


def _theirs(peer: str) -> float:
    return _seconds(["-m", "benchmarks.shell", peer, str(next(seeds))])


def _seconds(words: list[str], variables: Mapping[str, str] | None = None) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=variables)
    return time.perf_counter() - started


def sb3_script(seed: int, steps: int = STEPS) -> float:
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    from benchmarks.zoo import ZOO

    settings = ZOO["ppo-cartpole"].settings
    return _judged(PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=seed), **settings, device="cpu"), steps)


def sbx_script(seed: int, steps: int = STEPS) -> float:
    from stable_baselines3.common.env_util import make_vec_env

    from benchmarks.zoo import ZOO

    settings = {**ZOO["ppo-cartpole"].settings, "clip_range": 0.2}  # it takes no schedule there
    environments = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    return _judged(importlib.import_module("sbx").PPO("MlpPolicy", environments, **settings), steps)


def rejax_script(seed: int, steps: int = STEPS) -> float:
    return float(importlib.import_module("benchmarks.rejaxed").whole_run(steps, seed))


def _judged(agent: Any, steps: int) -> float:
    """Train, play 100 episodes in eight copies, and save, as SB3's documentation does."""
    from stable_baselines3.common.evaluation import evaluate_policy

    agent.learn(steps)
    mean, _ = evaluate_policy(agent, agent.get_env(), n_eval_episodes=EPISODES)
    with tempfile.TemporaryDirectory() as folder:
        agent.save(Path(folder) / "agent")
    return float(np.mean(mean))


SCRIPTS = {"sb3": sb3_script, "sbx": sbx_script, "rejax": rejax_script}

if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    print(SCRIPTS[sys.argv[1]](*map(int, sys.argv[2:])))
