"""Returns of the lab's experiments against those of plain Stable-Baselines3 with the zoo's settings:
`python -m benchmarks returns ppo-acrobot dqn-acrobot --seeds 0 1 2`.

Both sides train in the environment of the experiment's YAML for its number of steps, with the same seeds, and are
judged by the same 100 deterministic episodes per seed. The lab's side is the YAML as it stands, whatever it has that
SB3 lacks; the other side is always what the zoo has for SB3, in the table below. The lab reaches SB3 where its mean
over seeds is at least SB3's minus one standard error of that. With `--steps`, DQN begins to learn after a tenth of
these at the latest, on both sides: the zoo's for Atari would otherwise play at random all the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import nan, sqrt
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize
from torch import nn

import lab
from agents.evaluation import play_episodes
from agents.experiment import AgentExperiment, episode_seeds
from agents.extractor import EncoderExtractor
from lab.config import load
from lab.encoders.conv import Conv, ConvStage


def falling(value: float) -> Callable[[float], float]:
    """The zoo's `lin_<value>`: linear from `value` to 0."""
    return lambda left: value * left


@dataclass(frozen=True)
class Zoo:
    """What rl-baselines3-zoo has for an experiment: hyperparams/ppo.yml and dqn.yml."""

    settings: dict[str, Any]
    n_envs: int = 1
    normalize: dict[str, Any] = field(default_factory=dict)
    policy: str = "MlpPolicy"


BOTH = {"norm_obs": True, "norm_reward": True}
WIDE = {"policy_kwargs": {"net_arch": [256, 256]}}
SLOW_DQN = WIDE | {
    "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "learning_starts": 0, "train_freq": 4,
    "gradient_steps": -1, "target_update_interval": 250, "exploration_fraction": 0.12, "exploration_final_eps": 0.1,
}  # fmt: skip
LUNAR = {"n_steps": 1024, "batch_size": 64, "gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4, "ent_coef": 0.01}
ATARI_PPO = {
    "n_steps": 128, "n_epochs": 4, "batch_size": 256, "ent_coef": 0.01, "learning_rate": falling(2.5e-4),
    "clip_range": falling(0.1),
}  # fmt: skip
ATARI_DQN = {
    "learning_rate": 1e-4, "batch_size": 32, "buffer_size": 100_000, "learning_starts": 100_000, "train_freq": 4,
    "target_update_interval": 1000, "exploration_fraction": 0.1, "exploration_final_eps": 0.01,
}  # fmt: skip
CARS = {
    "n_steps": 512, "batch_size": 128, "learning_rate": falling(1e-4), "use_sde": True, "sde_sample_freq": 4,
    "policy_kwargs": {"log_std_init": -2, "ortho_init": False, "activation_fn": nn.GELU,
                      "net_arch": {"pi": [256], "vf": [256]}},
}  # fmt: skip
SMALL = partial(Conv, stages=[ConvStage(16, kernel=8, stride=4), ConvStage(32, kernel=4, stride=2)], hidden=[128])
PIXELS = {
    "policy_kwargs": {"features_extractor_class": EncoderExtractor, "features_extractor_kwargs": {"encoder": SMALL},
                      "net_arch": []},
}  # fmt: skip

ZOO = {
    "ppo-cartpole": Zoo(
        {"n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20}
        | {"learning_rate": falling(1e-3), "clip_range": falling(0.2)},
        8,
    ),
    "dqn-cartpole": Zoo(
        WIDE
        | {"learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1000}
        | {"target_update_interval": 10, "train_freq": 256, "gradient_steps": 128}
        | {"exploration_fraction": 0.16, "exploration_final_eps": 0.04}
    ),
    "ppo-cartpole-pixels": Zoo(
        PIXELS | {"n_steps": 128, "batch_size": 256, "n_epochs": 10, "vf_coef": 0.1} | {"learning_rate": falling(1e-3)},
        16,
        {"norm_obs": False, "norm_reward": True},
        "CnnPolicy",
    ),
    "dqn-cartpole-pixels": Zoo(
        PIXELS
        | {"learning_rate": falling(5e-4), "batch_size": 64, "buffer_size": 50_000, "learning_starts": 2000}
        | {"target_update_interval": 500, "train_freq": 16, "gradient_steps": 16}
        | {"exploration_fraction": 0.16, "exploration_final_eps": 0.04},
        4,
        policy="CnnPolicy",
    ),
    "ppo-acrobot": Zoo({"n_steps": 256, "gae_lambda": 0.94, "n_epochs": 4}, 16, BOTH),
    "dqn-acrobot": Zoo(SLOW_DQN),
    "ppo-mountaincar": Zoo({"n_steps": 16, "gae_lambda": 0.98, "n_epochs": 4}, 16, BOTH),
    "dqn-mountaincar": Zoo(
        WIDE
        | {"learning_rate": 4e-3, "batch_size": 128, "buffer_size": 10_000, "learning_starts": 1000, "gamma": 0.98}
        | {"target_update_interval": 600, "train_freq": 16, "gradient_steps": 8}
        | {"exploration_fraction": 0.2, "exploration_final_eps": 0.07}
    ),
    "ppo-lunarlander": Zoo(LUNAR, 16),
    "dqn-lunarlander": Zoo(SLOW_DQN),
    "ppo-pendulum": Zoo(
        {"n_steps": 1024, "gamma": 0.9, "learning_rate": 1e-3, "use_sde": True, "sde_sample_freq": 4}, 4
    ),
    "ppo-bipedalwalker": Zoo({"n_steps": 2048, "gamma": 0.999, "clip_range": 0.18}, 32, BOTH),
    "ppo-carracing": Zoo(CARS, 8, {"norm_obs": False, "norm_reward": True}, "CnnPolicy"),
    "ppo-pong": Zoo(ATARI_PPO, 8, policy="CnnPolicy"),
    "ppo-breakout": Zoo(ATARI_PPO, 8, policy="CnnPolicy"),
    "dqn-pong": Zoo(ATARI_DQN, policy="CnnPolicy"),
    "dqn-breakout": Zoo(ATARI_DQN, policy="CnnPolicy"),
}
"""By the lab's name. The settings that are not here are SB3's defaults, as in the zoo's files. The zoo has no CartPole
from pixels: there both sides have the lab's network and settings, those that plain SB3 has."""


class Plain:
    """A model of SB3's as an actor of the lab's, with what it normalises by."""

    def __init__(self, model: Any, norm: VecNormalize | None) -> None:
        self.model, self.norm = model, norm

    def act(self, observations: Any, memory: Any = None) -> tuple[Any, None]:
        seen = observations if self.norm is None else self.norm.normalize_obs(observations)
        return self.model.predict(seen, deterministic=True)[0], None


def theirs(name: str, seed: int, steps: int | None, device: str) -> tuple[float, float]:
    """Mean return and seconds of training of plain SB3."""
    zoo, experiment = ZOO[name], load(name).build()
    assert isinstance(experiment, AgentExperiment)
    env = experiment.env
    envs: VecEnv = DummyVecEnv([lambda: Monitor(env.make(training=True)) for _ in range(zoo.n_envs)])
    norm = VecNormalize(envs, gamma=zoo.settings.get("gamma", 0.99), **zoo.normalize) if zoo.normalize else None
    algorithm = PPO if name.startswith("ppo") else DQN
    settings = zoo.settings | learning_starts(zoo.settings, steps)
    model = algorithm(zoo.policy, envs if norm is None else norm, seed=seed, device=device, **settings)
    started = time.perf_counter()
    model.learn(steps or experiment.total_timesteps)
    seconds = time.perf_counter() - started
    seeds = episode_seeds(seed, "judge", experiment.evaluation.episodes)
    mean = float(play_episodes(Plain(model, norm), env, seeds).returns.mean())
    envs.close()
    return mean, seconds


def ours(name: str, seed: int, steps: int | None, device: str) -> tuple[float, float]:
    """The same of the lab's run, which is not evaluated while it trains."""
    length = steps or cast(AgentExperiment, load(name).build()).total_timesteps
    overrides = {"seed": seed, "device": device, "total_timesteps": length}
    overrides |= {"evaluation.every": 10 * length, "evaluation.video": False}
    settings = load(name).as_dict()["agent"]["init_args"]
    overrides |= {f"agent.{key}": value for key, value in learning_starts(settings, steps).items()}
    with tempfile.TemporaryDirectory() as folder:
        run = lab.run(name, overrides, runs_dir=folder)
    mean = run.metrics["eval/return_mean"]
    return nan if mean is None else mean, run.durations["train"]


def learning_starts(settings: dict[str, Any], steps: int | None) -> dict[str, int]:
    """What to change for a run that is cut to `steps`."""
    late = steps is not None and settings.get("learning_starts", 0) > steps // 10
    return {"learning_starts": cast(int, steps) // 10} if late else {}


def standard_error(values: Sequence[float]) -> float:
    """Of the mean over seeds; NaN for one seed."""
    return statistics.stdev(values) / sqrt(len(values)) if len(values) > 1 else nan


def compare(name: str, seeds: Sequence[int], steps: int | None, device: str) -> dict[str, Any]:
    """Train both sides on all seeds, each pair in the other order than the last; print and return what came out."""
    sides: dict[str, Callable[[int], tuple[float, float]]] = {
        "lab": partial(ours, name, steps=steps, device=device),
        "sb3": partial(theirs, name, steps=steps, device=device),
    }
    found: dict[str, list[tuple[float, float]]] = {"lab": [], "sb3": []}
    for i, seed in enumerate(seeds):
        for side in ("sb3", "lab") if i % 2 else ("lab", "sb3"):
            found[side].append(sides[side](seed))
    row: dict[str, Any] = {"experiment": name, "seeds": list(seeds), "steps": steps or "all"}
    for side, results in found.items():
        returns = [mean for mean, _ in results]
        row[side] = {
            "returns": returns,
            "mean": statistics.mean(returns),
            "standard_error": standard_error(returns),
            "seconds": statistics.median(seconds for _, seconds in results),
        }
    least = row["sb3"]["mean"] - np.nan_to_num(row["sb3"]["standard_error"])
    row["verdict"] = "reached" if row["lab"]["mean"] >= least else "missed"
    reference = load(name).common.reference
    row["published"] = reference.value if reference else None
    print(f"{name}: {row['verdict']} (seeds {' '.join(map(str, seeds))}; published {row['published']})")
    for side in found:
        a = row[side]
        each = " ".join(f"{x:8.1f}" for x in a["returns"])
        print(f"  {side}  {each}  mean {a['mean']:.1f} ± {a['standard_error']:.1f}, {a['seconds']:.0f} s of training")
    # JSON has no NaN
    print(json.dumps(json.loads(json.dumps(row), parse_constant=lambda _: None)), flush=True)
    return row


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks returns", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", choices=list(ZOO), help=f"of {', '.join(ZOO)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="train for fewer steps than the experiment says, on both sides")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for torch (default: 1)")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    for name in options.names:
        compare(name, options.seeds, options.steps, options.device)
