"""Environments that fail, give what is not finite or never end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import lab
from agents.environments.settings import EnvSettings
from agents.evaluation.aside import film
from agents.evaluation.episodes import play_episodes
from agents.evaluation.play import play as watch
from lab.capabilities import Episode, Showing
from lab.cli.main import main
from lab.configuration import load
from lab.errors import EnvironmentFailedError
from lab.job import prepare
from tests.faults.environments import Wild
from tests.faults.environments.running import MODULE, run
from tests.support.tasks import weights


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("name", "what"),
    [("NanReward", "gave the reward nan"), ("NanObservation", "gave an observation that is not finite: [nan nan nan]")],
)
def test_nan_names_environment_and_step(name: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run(name)) == 4
    err = capsys.readouterr().err
    assert f"lab: error: environment {name}-v0 (copy 0, its step 100, episode " in err
    assert what in err


@pytest.mark.fault(14)
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_environment_traceback_is_shown(vectorization: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(run("Broken", f"--env.vectorization={vectorization}", "--checkpoint.steps=64")) == 4
    err = capfd.readouterr().err
    assert 'raise RuntimeError("the wheel came off")' in err
    assert "lab: error: environment Broken-v0 (copy 0, its step 101, episode " in err
    assert err.rstrip().endswith("raised RuntimeError: the wheel came off")


@pytest.mark.fault(14)
def test_early_failure_leaves_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run("Stillborn")) == 4
    err = capsys.readouterr().err
    assert 'raise RuntimeError("there is no wheel")' in err
    assert "environment Stillborn-v0 raised RuntimeError: there is no wheel" in err
    assert not Path("runs").exists()


WILD = {"raise": "raised ValueError: nobody tames me", "nan": "gave the reward nan"}
WILD |= {"nothing": "gave an observation that is not finite: [nan nan nan]"}


def wild(how: str) -> dict[str, Any]:
    tamed = [{"class_path": f"{MODULE}.Tamed"}]
    return {"env.id": f"{MODULE}:Wild-v0", "env.kwargs": {"how": how}, "env.training_wrappers": tamed}


@pytest.mark.fault(14)
@pytest.mark.parametrize("how", WILD)
@pytest.mark.parametrize("when", ["on the way", "at the end"])
def test_failure_in_evaluation_is_reported(how: str, when: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = [f"--{name}={json.dumps(value)}" for name, value in wild(how).items() if name != "env.id"]
    every = "--evaluation.every=" + ("300" if when == "on the way" else "100000")
    assert main(run("Wild", *more, every, "--total_timesteps=512", "--device=cpu")) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("lab: error: environment Wild-v0 (episode of seed ")
    assert said.endswith(f", step 2) {WILD[how]}")


@pytest.mark.parametrize("how", WILD)
def test_failing_environment_is_closed(how: str) -> None:
    settings = EnvSettings(f"{MODULE}:Wild-v0", kwargs={"how": how})
    playing: list[Callable[[], Any]] = [
        lambda: play_episodes(Still(), settings, [1, 2, 3]),
        lambda: film(Still(), settings, 1),
        lambda: watch(Still(), settings, Showing([1], Path("x"), output=Path("x.gif"))),
    ]
    settings.make().close()  # imports its module
    for made, play_one in zip((3, 1, 1), playing, strict=True):
        looked = 0 if made == 3 else 1  # to read its render modes
        before = Wild.closed
        with pytest.raises(EnvironmentFailedError, match=re.escape(WILD[how])):
            play_one()
        assert made <= Wild.closed - before <= made + looked
    assert not list(Path().iterdir()), "an incomplete film was left behind"


def test_final_policy_comes_back() -> None:
    job = prepare(load("ppo-cartpole", wild("raise")), fast_dev_run=True)
    experiment: Any = job.experiment
    final = weights(experiment.agent.policy).clone()
    experiment.best_state = {name: value + 1 for name, value in experiment.agent.policy.state_dict().items()}

    def play_the_best() -> None:
        with experiment._as_best():
            assert not torch.equal(weights(experiment.agent.policy), final)
            play_episodes(experiment.agent, experiment.env, [1])

    with pytest.raises(EnvironmentFailedError):
        play_the_best()
    assert torch.equal(weights(experiment.agent.policy), final)


class Still:
    """Takes the action 0."""

    def act(self, observations: Any, memory: Any = None) -> tuple[Any, Any]:
        return np.zeros(len(observations), int), None


@pytest.mark.parametrize("name", [f"{MODULE}:Endless-v0", "CliffWalking-v1"])
def test_endless_episode_is_cut_off(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"env.id": name, "evaluation.max_steps": 70, "evaluation.video": False}
    done = lab.run("ppo", more, runs_dir="runs", fast_dev_run=True)
    assert done.status == "completed"
    assert 0 < (done.metrics["eval/length_mean"] or 0) <= 70
    told = "cut off after 70 steps" in done.descriptions["eval/return_mean"]
    assert told == (done.metrics["eval/length_mean"] == 70), "of both episodes or none"
    said = capsys.readouterr().err
    assert said.count("evaluation, films and lab play cut an episode off after 70 steps") == 1


def test_own_time_limit_stays() -> None:
    endless = EnvSettings(f"{MODULE}:Endless-v0")
    assert play_episodes(Still(), endless.limited(70), [1, 2]).lengths.tolist() == [70, 70]
    told: list[Episode] = []
    path = Path("x.gif")
    wildly = replace(endless, id=f"{MODULE}:Wild-v0", kwargs={"how": "not"})
    watch(Still(), wildly.limited(5), Showing([1], path, output=path, told=told.append))
    assert [one.length for one in told] == [5]
    limit = partial(gym.wrappers.TimeLimit, max_episode_steps=90)
    for own in (EnvSettings("CartPole-v1"), replace(endless, wrappers=[limit])):
        assert own.limited(70) is own
