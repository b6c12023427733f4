"""`lab export`: what is written loads in plain Stable-Baselines3, without the lab, and acts the same."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor, nn

import lab
from agents.core.agent import Agent
from agents.dqn.dqn import DQN
from agents.environments.settings import EnvSettings
from agents.onnx import export_onnx
from agents.ppo.ppo import PPO
from agents.sb3.export import export_sb3, write_vecnormalize
from agents.sb3.plain import plain_agent
from lab.cli.main import main
from lab.encoders import MLP, Conv, ConvStage, Recurrent, ResNet
from lab.errors import ConfigError, LabError
from lab.evaluation import CheckpointName

ALONE = """
import sys


class WithoutTheLab:
    def find_spec(self, name, path=None, target=None):
        ours = ("lab", "agents", "generative", "supervised", "configs")
        if name.split(".")[0] in (*ours, "jsonargparse", "pytorch_lightning", "safetensors"):
            raise ImportError(f"there is no {name} here")


sys.meta_path.insert(0, WithoutTheLab())
import numpy as np
import stable_baselines3
import torch

torch.set_num_threads(1)
"""
"""Begins a script whose interpreter has never heard of the lab, editable installation or not."""

READ = """
import json
for algorithm, path in json.loads(sys.argv[1]):
    model = getattr(stable_baselines3, algorithm).load(path, device="cpu")
    observations = np.load(path + ".npy")
    actions, _ = model.predict(observations, deterministic=True)
    with torch.no_grad():
        tensor, _ = model.policy.obs_to_tensor(observations)
        values = model.policy.predict_values(tensor) if algorithm == "PPO" else model.policy.q_net(tensor)
    np.savez(path + ".npz", actions=actions, values=values.numpy())
"""


SERVE = """
import json, os, traceback
for line in sys.stdin:
    script, words = json.loads(line)
    if child := os.fork():
        print(os.waitpid(child, 0)[1], flush=True)
        continue
    sys.argv[1:] = words
    try:
        exec(script)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
"""
"""Follows `ALONE`, and runs each script in a copy of this interpreter: importing Stable-Baselines3 takes seconds."""

Alone = Callable[..., None]


@pytest.fixture(scope="module")
def alone() -> Iterator[Alone]:
    """Runs a script without the lab: isolated from PYTHONPATH and the working directory."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-I", "-c", ALONE + SERVE],
            cwd="/",
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as server,
    ):
        asked, answered = server.stdin, server.stdout
        assert asked
        assert answered

        def run(script: str, *words: str | Path) -> None:
            print(json.dumps([script, [*map(str, words)]]), file=asked, flush=True)
            status = answered.readline()
            errors.seek(0)
            assert status == "0\n", errors.read()[-3000:]

        yield run
        asked.close()


def require_same(exported: list[tuple[Path, Agent]], alone: Alone) -> None:
    """Compare actions, and values or Q-values, on 100 observations."""
    written = [("DQN" if isinstance(agent, DQN) else "PPO", str(path.absolute())) for path, agent in exported]
    observations = []
    for _, agent in exported:
        agent.observation_space.seed(1)
        observations.append(np.stack([agent.observation_space.sample() for _ in range(100)]))
    for (_, path), given in zip(written, observations, strict=True):
        np.save(f"{path}.npy", given)
    alone(READ, json.dumps(written))
    for (algorithm, path), given, (_, agent) in zip(written, observations, exported, strict=True):
        taken = np.load(f"{path}.npz")
        policy: Any = agent.acting_policy
        policy.set_training_mode(False)
        with torch.no_grad():
            tensor, _ = policy.obs_to_tensor(given)
            values = policy.predict_values(tensor) if algorithm == "PPO" else policy.q_net(tensor)
        assert np.abs(taken["values"] - values.numpy()).max() < 1e-6, path
        assert taken["values"].std() > 1e-3, "not all alike"
        ours = agent.act(given)[0]
        if np.issubdtype(ours.dtype, np.floating):
            assert np.abs(taken["actions"] - ours).max() < 1e-6, path
        else:
            assert np.array_equal(taken["actions"], ours), path


@pytest.mark.parametrize("name", ["ppo-cartpole", pytest.param("dqn-cartpole", marks=pytest.mark.slow)])
def test_exported_agent_acts_equally(name: str, alone: Alone, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"total_timesteps": 1300, "evaluation.every": 600, "evaluation.episodes": 2, "evaluation.video": False}
    run = lab.run(name, settings, runs_dir="runs")
    exported = []
    checkpoints: tuple[CheckpointName, ...] = ("final", "best")
    for checkpoint in checkpoints:
        path = Path(f"out/{checkpoint}.zip")
        assert main(["export", str(run.dir), "--format", "sb3", "-o", str(path), "--checkpoint", checkpoint]) == 0
        exported.append((path, lab.load(run.dir, checkpoint=checkpoint).agent))
    assert sorted(p.name for p in Path("out").iterdir()) == ["best.json", "best.zip", "final.json", "final.zip"]
    require_same(exported, alone)
    description = json.loads(Path("out/final.json").read_text())
    assert description["algorithm"] == name[:3].upper()
    assert description["env"] == {"id": "CartPole-v1", "kwargs": {}}


def build(algorithm: type[PPO] | type[DQN], env: str, encoder: Any, seed: int = 3, **settings: Any) -> Agent:
    if algorithm is PPO:
        settings = {"n_steps": 8, "batch_size": 8, "ortho_init": False} | settings
    else:
        settings = {"buffer_size": 50} | settings
    environment = EnvSettings(env)
    venv = environment.make_vec(0, environment.plan())
    agent = algorithm(venv, seed, torch.device("cpu"), encoder=encoder, **settings)
    for module in agent.acting_policy.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):  # as training would leave it
            nn.init.normal_(module.running_mean, 0, 0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.3)
    return agent


class Pixels(gym.Env[Any, Any]):
    """Shows noise. `dtype` of its images is uint8 up to 255, or float32 up to 1."""

    action_space = spaces.Discrete(3)

    def __init__(self, kind: Any = np.uint8) -> None:
        top = 255 if kind is np.uint8 else 1
        self.observation_space = spaces.Box(0, top, (2, 44, 40), kind)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, True, False, {}


class Switches(Pixels):
    """Has a switch for each light."""

    action_space = spaces.MultiBinary(3)  # type: ignore[assignment]

    def __init__(self) -> None:
        self.observation_space = spaces.MultiBinary(4)


gym.register("LabTestSwitches-v0", entry_point=f"{__name__}:Switches")
gym.register("LabTestPixels-v0", entry_point=f"{__name__}:Pixels")
gym.register("LabTestFloatPixels-v0", entry_point=f"{__name__}:Pixels", kwargs={"kind": np.float32})

NATURE = [
    ConvStage(32, kernel=8, stride=4, padding=0),
    ConvStage(64, kernel=4, stride=2, padding=0),
    ConvStage(64, padding=0),
]
nature = partial(Conv, stages=NATURE, hidden=[64])


CASES: list[tuple[type[PPO] | type[DQN], str, Any, dict[str, Any]]] = [
    (PPO, "CartPole-v1", partial(MLP, hidden=[16, 8], activation="tanh"), {"net_arch": [12]}),
    (PPO, "CartPole-v1", partial(MLP, hidden=[16]), {"share_encoder": False}),
    (PPO, "CartPole-v1", partial(MLP, hidden=[]), {}),
    (PPO, "CartPole-v1", partial(MLP, hidden=[]), {"net_arch": [5]}),
    (PPO, "CartPole-v1", partial(MLP, hidden=[16, 16], activation="leaky_relu", dropout=0.3), {}),
    (PPO, "Pendulum-v1", partial(MLP, hidden=[16, 16], activation="gelu"), {}),
    (PPO, "Pendulum-v1", partial(MLP, hidden=[16]), {"gsde": True, "sde_sample_freq": 4, "log_std_init": -1.0}),
    (PPO, "Pendulum-v1", partial(MLP, hidden=[8]), {"gsde": True, "share_encoder": False, "clip_range_vf": 0.3}),
    (PPO, "FrozenLake-v1", partial(MLP, hidden=[16, 16], activation="sigmoid"), {}),
    (PPO, "LabTestSwitches-v0", partial(MLP, hidden=[16]), {}),
    (PPO, "LabTestPixels-v0", partial(MLP, hidden=[16], activation="silu"), {}),
    (PPO, "LabTestPixels-v0", nature, {"net_arch": [8]}),
    (PPO, "LabTestPixels-v0", nature, {"share_encoder": False}),
    (PPO, "LabTestFloatPixels-v0", nature, {}),
    (DQN, "CartPole-v1", partial(MLP, hidden=[16, 8]), {"net_arch": [12], "average": 0.9}),
    (DQN, "CartPole-v1", partial(MLP, hidden=[16, 8], batch_norm=True, dropout=0.2), {}),
    (DQN, "LabTestPixels-v0", partial(nature, norm="batch"), {"n_steps": 3}),
]


def test_every_network_that_can_be_expressed(alone: Alone) -> None:
    exported = []
    for number, (algorithm, env, encoder, settings) in enumerate(CASES):
        agent = build(algorithm, env, encoder, **settings)
        path = Path(f"agent-{number}.zip")
        export_sb3(agent, EnvSettings(env), path)
        exported.append((path, agent))
    require_same(exported, alone)


class Doubled(MLP):
    """Not what its layers say."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return 2 * super().forward(x, mask)


class Layered(MLP):
    def __init__(self, spec: Any, **settings: Any) -> None:
        super().__init__(spec, **settings)
        self.layers = nn.Sequential(*self.layers, nn.LayerNorm(self.features_dim))


@pytest.mark.parametrize(
    ("env", "encoder", "settings", "sentence"),
    [
        (
            "CartPole-v1",
            partial(MLP, hidden=[8]),
            {"net_arch": [8]},
            r"one activation for all .* has ReLU\(\) and Tanh",
        ),
        ("CartPole-v1", partial(Layered, hidden=[8]), {}, "no LayerNorm in its networks"),
        ("LabTestPixels-v0", partial(Conv), {}, "only convolutional network is NatureCNN"),
        ("LabTestPixels-v0", partial(Conv, stages=NATURE), {}, "only convolutional network is NatureCNN"),
        ("LabTestPixels-v0", partial(Conv, stages=NATURE, hidden=[8], activation="tanh"), {}, "is NatureCNN"),
        ("LabTestPixels-v0", partial(Conv, norm="group"), {}, "no GroupNorm in its networks"),
        ("LabTestPixels-v0", partial(ResNet, channels=[8]), {}, "no encoder like ResNet"),
    ],
)
def test_what_cannot_be_expressed_is_said(env: str, encoder: Any, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        export_sb3(build(PPO, env, encoder, **settings), EnvSettings(env), Path("agent.zip"))
    assert not list(Path().iterdir())


def test_unequal_copies_are_not_written() -> None:
    with pytest.raises(LabError, match=r"cannot be exported: its copy .* differs by"):
        export_sb3(build(PPO, "CartPole-v1", partial(Doubled, hidden=[8])), EnvSettings("CartPole-v1"), Path("a.zip"))
    assert not list(Path().iterdir())


def test_exported_agent_trains_further(alone: Alone) -> None:
    settings: dict[str, Any] = {"gamma": 0.9, "learning_rate": 0.02, "n_epochs": 3, "clip_range_vf": 0.3}
    agent = build(PPO, "CartPole-v1", partial(MLP, hidden=[8]), **settings)
    export_sb3(agent, EnvSettings("CartPole-v1"), Path("agent.zip"))
    script = """
import gymnasium
from stable_baselines3.common.env_util import make_vec_env
model = stable_baselines3.PPO.load(sys.argv[1], env=make_vec_env("CartPole-v1", n_envs=1))
assert (model.gamma, model.n_epochs, model.n_steps, model.lr_schedule(1.0)) == (0.9, 3, 8, 0.02), vars(model)
assert model.clip_range_vf(1.0) == 0.3
assert type(model.policy).__name__ == "ActorCriticPolicy"
before = [p.detach().clone() for p in model.policy.parameters()]
model.learn(16)
assert any((p != q).any() for p, q in zip(model.policy.parameters(), before))
"""
    alone(script, Path("agent.zip").absolute())


def test_missing_parts_are_noted() -> None:
    rich = build(DQN, "CartPole-v1", partial(MLP, hidden=[8]), double=True, prioritized_alpha=0.6)
    _, note = export_sb3(rich, EnvSettings("CartPole-v1"), Path("agent.zip"))
    assert "has no double Q-learning and no prioritized replay: further training goes without" in note
    plain = build(DQN, "CartPole-v1", partial(MLP, hidden=[8]), double=False)
    assert len(export_sb3(plain, EnvSettings("CartPole-v1"), Path("plain.zip"))) == 1


def test_the_target_network_is_there_too() -> None:
    agent = build(DQN, "CartPole-v1", partial(MLP, hidden=[8]), buffer_size=1234)
    policy: Any = agent.policy
    for parameter in policy.q_net_target.parameters():
        nn.init.normal_(parameter)
    _, plain = plain_agent(agent)
    assert isinstance(plain, stable_baselines3.DQN)
    assert plain.buffer_size == 1234
    x = torch.randn(5, 4)
    assert torch.equal(plain.q_net(x), policy.q_net(x))
    assert torch.equal(plain.q_net_target(x), policy.q_net_target(x))
    assert not torch.equal(plain.q_net(x), plain.q_net_target(x))


def test_statistics_become_a_vecnormalize(alone: Alone) -> None:
    mean, var = np.array([1.0, 2, 3, 4]), np.array([1.0, 4, 9, 16])
    env = DummyVecEnv([partial(gym.make, "CartPole-v1")])
    write_vecnormalize(Path("vecnormalize.pkl"), env, mean, var, clip=2.0, epsilon=0.0)
    script = """
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize
env = VecNormalize.load(sys.argv[1], make_vec_env("CartPole-v1", n_envs=1))
assert not env.training and not env.norm_reward
seen = env.normalize_obs(np.array([[1.0, 4, 0, 44]]))
assert seen.tolist() == [[0, 1, -1, 2]], seen
"""
    alone(script, Path("vecnormalize.pkl").absolute())


def test_statistics_are_exported(alone: Alone) -> None:
    agent = build(PPO, "CartPole-v1", partial(MLP, hidden=[8]), normalize_observations=True)
    assert agent.norm is not None
    agent.norm.update(torch.randn(500, 4) * 7 + 3)
    notes = export_sb3(agent, EnvSettings("CartPole-v1"), Path("agent.zip"))
    assert "agent-vecnormalize.pkl" in notes[-1]
    observations = np.random.default_rng(0).normal(3, 7, (100, 4)).astype(np.float32)
    np.save("observations.npy", observations)
    policy: Any = agent.policy
    with torch.no_grad():
        np.save("values.npy", policy.values(torch.from_numpy(observations)))
    script = """
import os
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize
os.chdir(os.path.dirname(sys.argv[1]))
model = stable_baselines3.PPO.load(sys.argv[1])
env = VecNormalize.load("agent-vecnormalize.pkl", make_vec_env("CartPole-v1", n_envs=1))
seen = env.normalize_obs(np.load("observations.npy"))
values = model.policy.predict_values(torch.from_numpy(seen)).detach().numpy()[:, 0]
assert abs(values - np.load("values.npy")).max() < 1e-5
"""
    alone(script, Path("agent.zip").absolute())


def test_onnx_file_acts_equally() -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    agent = build(PPO, "Pendulum-v1", partial(MLP, hidden=[8]))
    policy: Any = agent.policy
    nn.init.normal_(policy.action_net.weight, std=5)  # beyond the bounds, too
    export_onnx(agent, Path("agent.onnx"))
    agent.observation_space.seed(1)
    observations = np.stack([agent.observation_space.sample() for _ in range(100)])
    actions, _ = onnxruntime.InferenceSession("agent.onnx").run(None, {"input": observations})
    assert np.abs(actions - agent.act(observations)[0]).max() < 1e-4
    assert 0 < (np.abs(actions) == 2).mean() < 1


def test_onnx_refuses_memory() -> None:
    with pytest.raises(ConfigError, match="has a memory, and an ONNX file of a policy has none"):
        export_onnx(build(PPO, "CartPole-v1", partial(Recurrent, width=4)), Path("agent.onnx"))


def test_command_refuses_unsupported(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("vae-mnist", {"data.name": "digits"}, runs_dir="runs", fast_dev_run=True)
    for words, sentence in (
        ([], f"{run.run_id} is a vae-mnist, which cannot export; it can sample"),
        (["--format", "onxx"], "argument --format: invalid choice"),
        (["--a.b=1"], "does not take '--a.b=1'"),
    ):
        assert main(["export", str(run.dir), *words]) == 2
        assert sentence in capsys.readouterr().err
