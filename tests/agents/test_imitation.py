"""A clone takes the recorded actions, and is judged by its own returns."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import lab
from agents.environments.settings import EnvSettings
from agents.evaluation.episodes import EvaluationSettings
from agents.imitation import BehaviourCloning
from agents.imitation.acting import Cloned, Random
from agents.recording.recipe import Recipe
from lab.capabilities import capabilities_of
from lab.cli.main import main
from lab.data import Recorded
from lab.data.catalog import data_dir
from lab.data.collected import MissingDataError
from lab.data.own.episodes import write_episodes
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP
from lab.errors import ConfigError
from lab.needs import MissingArtifactError

CPU = torch.device("cpu")
CARTPOLE = EnvSettings("CartPole-v1")
SMALL = partial(MLP, hidden=[16])


def recorded(**settings: Any) -> Recorded:
    data = Recorded(targets="actions", **settings)
    data.prepare()
    return data


class Endless(gym.Env[Any, Any]):
    """Never ends an episode, and draws its rewards from the generator of the process."""

    observation_space, action_space = spaces.Box(-1, 1, (4,), np.float32), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(4, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(4, np.float32), np.random.random(), False, False, {}


gym.register("LabTestUncut-v0", Endless, disable_env_checker=True)  # type: ignore[arg-type]


def test_balanced_poles_are_cloned(capsys: pytest.CaptureFixture[str]) -> None:
    """The stand-in moves by CartPole's equations, so that a clone of its rule balances CartPole itself."""
    settings = {"data.collected": None, "trainer.max_steps": 120, "trainer.optimizer.lr": 0.03, "model.episodes": 4}
    settings |= {"seed": 3}
    run = lab.run("imitate-cartpole", settings | {"model.encoder.hidden": [16]}, runs_dir="runs")
    assert (run.metrics["test/return_mean"] or 0) > 5 * run.baselines["random policy"]["test/return_mean"]
    assert (run.metrics["test/accuracy"] or 0) > 0.8
    assert run.bounds["the recorded policy"] == {"test/return_mean": 50}
    assert run.target["verdict"] == "not-comparable"
    assert {path.stem.partition("-")[0] for path in (run.dir / "media").glob("*.png")} == {"episode"}
    assert lab.evaluate(run.dir).metrics == run.metrics
    assert main(["eval", str(run.dir), "--episodes", "4", "--json"]) == 0
    together = json.loads(capsys.readouterr().out.splitlines()[-1])["all"]
    assert together["mean"] == pytest.approx(run.metrics["test/return_mean"]), "the episodes of the figures"
    clone = lab.load(run.dir)
    assert clone.act(np.array([0, 0, 0.1, 1], np.float32)) == 1
    assert {"act"} <= {*run.can} == {*capabilities_of(clone)}


def test_endless_episodes_are_cut_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A clone that was loaded, and so has seen no data, plays the episodes that it was judged by."""
    monkeypatch.setattr("agents.imitation.cloning.EVALUATION", EvaluationSettings(max_steps=30))
    data, env = recorded(), EnvSettings("LabTestUncut-v0")
    judged, loaded = (BehaviourCloning(data.spec, env=env, encoder=SMALL, episodes=2) for _ in range(2))
    judged.adapt(data)
    judged.prepare_test(data, CPU)
    assert capsys.readouterr().err.count("lab play cut an episode off after 30 steps") == 1
    found, again = judged._judged(Cloned(judged)), loaded.episodes(loaded.judged_seed)
    assert [one.length for one in again] == found.lengths.tolist() == [30, 30]
    assert [one.total for one in again] == found.returns.tolist()
    assert judged.baselines(data)["random policy"]["test/length_mean"] == 30


def test_targets_are_actions() -> None:
    data = recorded()
    assert data.spec == DataSpec(InputSpec((4,)), Classes(2))
    (x, y) = next(iter(data.test(CPU)))
    assert (x.shape[1:], y.dtype) == ((4,), torch.int64)
    position, velocity, angle, turning = x.T
    assert torch.equal(y, (angle + 0.3 * turning + 0.02 * position + 0.05 * velocity > 0).long())


def test_returns_are_of_whole_episodes() -> None:
    rewards = np.arange(1.0, 11, dtype=np.float32)
    starts, over = np.zeros((2, 10), dtype=bool)
    starts[[0, 3, 5, 7]], over[[2, 4, 6]] = True, True
    arrays = {
        "observations": np.zeros((10, 2), np.float32),
        "actions": np.arange(10) % 3,
        "rewards": rewards,
        "starts": starts,
        "terminations": over & (np.arange(10) != 4),
        "truncations": over & (np.arange(10) == 4),
    }
    write_episodes(Path("mine"), arrays, {})
    data = recorded(path="mine")
    assert data.steps.returns.tolist() == [1 + 2 + 3, 4 + 5, 6 + 7]
    assert data.spec.target == Classes(3)
    write_episodes(Path("moves"), arrays | {"actions": np.zeros((10, 1), np.float32)}, {})
    with pytest.raises(
        ConfigError, match=r"needs one discrete action .* moves, received torch.float32 of shape \(10, 1\)"
    ):
        recorded(path="moves")


@pytest.mark.parametrize(
    ("env", "form", "actions", "sentence"),
    [
        ("Acrobot-v1", 4, 2, r"observations of shape \(6,\), but those that were recorded have shape \(4,\)"),
        ("CartPole-v1", 4, 3, r"at least 3 discrete actions, as were recorded, received Discrete\(2\)"),
        ("Pendulum-v1", 3, 2, r"at least 2 discrete actions, as were recorded, received Box"),
    ],
)
def test_other_environments_are_refused(env: str, form: int, actions: int, sentence: str) -> None:
    model = BehaviourCloning(DataSpec(InputSpec((form,)), Classes(actions)), env=EnvSettings(env), encoder=SMALL)
    with pytest.raises(ConfigError, match=sentence):
        model.adapt(recorded())


def test_likeliest_actions_are_taken() -> None:
    model = BehaviourCloning(DataSpec(InputSpec((4,)), Classes(2)), env=CARTPOLE, encoder=SMALL)
    seen = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    actions, memory = Cloned(model).act(seen)
    assert actions.tolist() == model(torch.from_numpy(seen)).argmax(1).tolist()
    assert memory is None


def test_chance_is_repeated() -> None:
    space = CARTPOLE.spaces()[1]
    one, other = (Random(space).act(np.zeros((200, 4)))[0] for _ in range(2))
    assert one.tolist() == other.tolist()
    assert 50 < one.sum() < 150


def test_missing_agent_is_trained_first() -> None:
    """If --make-needed asks for it; else the message names its experiment. What an agent of a fast-dev run did is no
    data for any other run."""
    options: dict[str, Any] = {"env": "CartPole-v1", "policy": "ppo-cartpole", "n": 300, "seed": 0}
    with pytest.raises(MissingArtifactError, match=r"no run of ppo-cartpole in .* `lab run ppo-cartpole` trains one"):
        Recipe(**options).make(Path("mine"), Path("runs"))
    changed = {"data.collected.options": options, "data.batch_size": 32, "model.encoder.hidden": [4]}
    run = lab.run("imitate-cartpole", changed, runs_dir="runs", make_needed=True, fast_dev_run=True)
    assert run.dataset["name"] == "cartpole-balanced-fast-dev"
    assert [path.name for path in Path("runs").iterdir() if path.is_dir()].count("ppo-cartpole") == 1
    again = lab.run("imitate-cartpole", changed, runs_dir="runs", fast_dev_run=True)
    assert again.dataset == run.dataset
    assert not (data_dir() / "cartpole-balanced").exists()
    with pytest.raises(MissingDataError, match=r"cartpole-balanced is not in"):
        lab.run("imitate-cartpole", changed, runs_dir="runs")
    with pytest.raises(MissingArtifactError, match=r"no run of ppo-cartpole in .* no fast-dev run"):
        Recipe(**options).make(Path("mine"), Path("runs"))
