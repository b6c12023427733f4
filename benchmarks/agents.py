"""Environment steps per second, learning included: the lab's agents against Stable-Baselines3, SBX and rejax.

All have the same settings (rl-baselines3-zoo's), environment, core and thread; each is warmed up before it is timed, so
that nobody's compilation counts. What it took is printed beside. SBX and rejax are in the extra `bench`.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from agents.experiment import AgentExperiment
from benchmarks.compiled import TENSORS, with_programs, without_programs
from benchmarks.left_out import left_out_if_missing, require
from benchmarks.pairs import alternate, one_core
from benchmarks.zoo import ZOO, falling
from lab.configuration import load
from lab.system.devices import flush_denormals, keep_freed_memory

CPU = torch.device("cpu")
seeds = count()
PEERS = {"SB3": (), "SBX": ("sbx",), "rejax": ("rejax", "gymnax")}
"""The packages of each."""
WARM_UP: dict[str, list[float]] = {}
"""Seconds that the warm-ups of each side took."""

SB3_PPO, SB3_DQN = (ZOO[name].settings for name in ("ppo-cartpole", "dqn-cartpole"))
PLAIN_DQN = {f"agent.{name}": value for name, value in SB3_DQN.items() if name != "policy_kwargs"} | {
    "agent.double": False,
    "agent.n_steps": 1,
    "agent.average": 0.0,
    "agent.learning_rate_schedule.kind": "constant",
}

DICT_PPO: dict[str, Any] = {
    "n_steps": 256,
    "batch_size": 128,
    "n_epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "learning_rate": 3e-4,
    "clip_range": 0.2,
    "max_grad_norm": 0.5,
}


class Halves(gym.ObservationWrapper[Any, Any, Any]):
    """CartPole's observation as a dict of two vectors."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = gym.spaces.Dict(
            {name: gym.spaces.Box(-np.inf, np.inf, (2,)) for name in ("places", "speeds")}
        )

    def observation(self, observation: Any) -> dict[str, Any]:
        return {"places": observation[::2], "speeds": observation[1::2]}


def measure(pairs: int) -> None:
    one_core()
    with without_programs() as variables:
        beside_peers(pairs, "", variables)
        beside_sb3(pairs, partial(timed, variables=variables))
    with left_out_if_missing("compiled agents"):
        settings = [f"--{name}={value}" for name, value in PLAIN_DQN.items()]
        with with_programs("ppo-cartpole", TENSORS) as ppo, with_programs("dqn-cartpole", TENSORS, *settings) as dqn:
            beside_peers(pairs, "_compiled", ppo, dqn)


def beside_peers(pairs: int, way: str, ppo: Mapping[str, str], dqn: Mapping[str, str] | None = None) -> None:
    """Compare both agents with all peers. `way` is the end of the side's name, `ppo` and `dqn` the variables of its
    processes."""
    for kind, steps, variables in (("PPO", 20_480, ppo), ("DQN", 10_240, dqn or ppo)):
        for peer, packages in PEERS.items():
            title = f"{kind} CartPole, zoo settings, lab{way.replace('_', ', ')} / {peer}"
            with left_out_if_missing(title):
                require(*packages)
                side = f"{peer.lower()}_{kind.lower()}"
                ours = timed(f"lab_{kind.lower()}{way}", steps, variables=variables)
                alternate(title, ours, timed(side, steps), pairs)
                print(f"  {peer}: {statistics.median(WARM_UP[side]):.1f} s of warm-up, its compilation included")


def beside_sb3(pairs: int, timed: Callable[..., Callable[[], float]]) -> None:
    """Compare other inputs with SB3, and other numbers of copies with each other."""
    alternate("PPO CartPole in a dict, lab / SB3", timed("lab_dict", 10_240), timed("sb3_dict", 10_240), pairs)
    alternate("PPO CartPole from pixels, lab / SB3", timed("lab_pixels", 4_096), timed("sb3_pixels", 4_096), pairs)
    for steps in (10_240, 40_960):
        print(f"PPO CartPole, {steps} steps: {timed('lab_ppo', steps)() / steps * 1e6:.0f} us per step")
    for copies in (8, 64, 256, 1024):
        steps = 32 * copies * 8
        print(f"PPO CartPole, {copies} copies: {timed('lab_ppo', steps, copies)() / steps * 1e6:.0f} us per step")


def timed(side: str, steps: int, *copies: int, variables: Mapping[str, str] | None = None) -> Callable[[], float]:
    """Return a function that gives the seconds `steps` steps take `side`, in a process of its own: what one side does
    to its process, such as the lab to its memory, is not lent to the other."""
    command = [sys.executable, "-m", "benchmarks.agents", side, *map(str, (steps, *copies))]

    def seconds() -> float:
        done = subprocess.run([*command, str(next(seeds))], capture_output=True, text=True, check=True, env=variables)
        warm_up, taken = map(float, done.stdout.splitlines()[-1].split())
        WARM_UP.setdefault(side, []).append(warm_up)
        return taken

    return seconds


def seconds(side: str, steps: int, *copies_and_seed: int) -> tuple[float, float]:
    """Make an agent, warm it up, and return the seconds that this takes it, and `steps` more steps."""
    torch.set_num_threads(1)
    *copies, seed = copies_and_seed
    agent = globals()[side](seed, *copies)
    began = time.perf_counter()
    if hasattr(agent, "compile_for"):
        agent.compile_for(steps)
    else:
        agent.learn(steps // 5)
    started = time.perf_counter()
    agent.learn(steps)
    return started - began, time.perf_counter() - started


def lab_ppo(seed: int, copies: int = 8) -> Any:
    return lab_agent("ppo-cartpole", {"env.num_envs": copies, "agent.batch_size": 32 * copies}, seed)


def lab_ppo_compiled(seed: int) -> Any:
    return with_compiled(lab_agent("ppo-cartpole", {"env.vectorization": "tensors"}, seed))


def lab_dqn_compiled(seed: int) -> Any:
    return with_compiled(lab_agent("dqn-cartpole", {**PLAIN_DQN, "env.vectorization": "tensors"}, seed))


def with_compiled(agent: Any) -> Any:
    """Return the agent, after a round of learning in which it has found its programs."""
    agent.learn(agent.shortest_run)
    assert agent.packages.used, "no compiled programs were found"
    return agent


def lab_dqn(seed: int) -> Any:
    return lab_agent("dqn-cartpole", PLAIN_DQN, seed)


def lab_dict(seed: int) -> Any:
    """The networks are SB3's: the dict becomes one vector, and policy and value have two layers each."""
    encoder = {"class_path": "Combined", "init_args": {"default": {"class_path": "MLP", "init_args": {"hidden": []}}}}
    halves = {"env.id": "CartPole-v1", "env.wrappers": [{"class_path": "benchmarks.agents.Halves"}]}
    agent = {"agent.encoder": encoder, "agent.net_arch": [64, 64], "agent.normalize_rewards": False}
    return lab_agent("ppo", halves | agent | {f"agent.{name}": value for name, value in DICT_PPO.items()}, seed)


def lab_pixels(seed: int) -> Any:
    return lab_agent("ppo-cartpole-pixels", {"device": "cpu", "agent.encoder": "ByShape"}, seed)


def lab_agent(name: str, overrides: dict[str, Any], seed: int) -> Any:
    """Build the agent of an experiment as `lab run` does."""
    keep_freed_memory()
    flush_denormals()
    experiment = load(name, overrides).build()
    assert isinstance(experiment, AgentExperiment)
    return experiment.agent_factory(experiment.env.make_vec(seed, experiment.env.plan()), seed, CPU)


def sb3_ppo(seed: int) -> PPO:
    return PPO("MlpPolicy", cartpole(8, seed), **SB3_PPO, device="cpu")


def sb3_dqn(seed: int) -> DQN:
    return DQN("MlpPolicy", cartpole(1, seed), **SB3_DQN, device="cpu")


def sb3_dict(seed: int) -> PPO:
    environments = make_vec_env("CartPole-v1", n_envs=8, seed=seed, wrapper_class=Halves)
    return PPO("MultiInputPolicy", environments, **DICT_PPO, device="cpu")


def sbx_ppo(seed: int) -> Any:
    algorithm = importlib.import_module("sbx").PPO
    return algorithm("MlpPolicy", cartpole(8, seed), **{**SB3_PPO, "clip_range": 0.2})  # it takes no schedule there


def sbx_dqn(seed: int) -> Any:
    algorithm = importlib.import_module("sbx").DQN
    return algorithm("MlpPolicy", cartpole(1, seed), **SB3_DQN)


def rejax_ppo(seed: int) -> Any:
    return importlib.import_module("benchmarks.rejaxed").rejax_ppo(seed)


def rejax_dqn(seed: int) -> Any:
    return importlib.import_module("benchmarks.rejaxed").rejax_dqn(seed)


def sb3_pixels(seed: int) -> Any:
    """The settings are those of the lab's ppo-cartpole-pixels, `NatureCNN` and the scaled rewards included."""
    config = load("ppo-cartpole-pixels").as_dict()
    settings, env = config["agent"]["init_args"], config["env"]
    shared = ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm")
    environments = make_vec_env(env["id"], n_envs=env["num_envs"], seed=seed)
    return PPO(
        "CnnPolicy",
        VecNormalize(environments, norm_obs=False, gamma=settings["gamma"]),
        **{name: settings[name] for name in shared},
        learning_rate=falling(settings["learning_rate"]),
        device="cpu",
    )


def cartpole(copies: int, seed: int) -> VecEnv:
    return make_vec_env("CartPole-v1", n_envs=copies, seed=seed)


if __name__ == "__main__":
    side, *numbers = sys.argv[1:]
    print(*seconds(side, *map(int, numbers)))
