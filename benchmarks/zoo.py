"""What rl-baselines3-zoo has for the lab's experiments: `hyperparams/ppo.yml` and `dqn.yml`, for plain SB3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from agents.networks.extractor import EncoderExtractor
from lab.encoders.networks.conv import Conv, ConvStage


def falling(value: float) -> Callable[[float], float]:
    """The zoo's `lin_<value>`: linear from `value` to 0."""
    return lambda left: value * left


@dataclass(frozen=True)
class Zoo:
    """Of one experiment."""

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
