"""What is recorded while an agent trains: figures with their intervals, speeds, and films."""

from __future__ import annotations

import json
import math
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import lab
from agents.core.state import agent_state
from agents.evaluation.aside import film
from agents.evaluation.episodes import play_episodes
from agents.experiment import AgentExperiment
from lab.configuration import load
from lab.experiment import RunContext
from lab.job import prepare
from lab.resuming import resume
from lab.runs.summary import Summary
from lab.saving.bitwise import run_differences
from lab.saving.packing import pack
from lab.statistics import spread
from lab.system.randomness import random_state
from lab.tracking import Trackers, read_journal
from tests.faults.harness import run_killed, run_undisturbed, settings

FILMED = {"evaluation.video": True, "evaluation.video_every": 500}
SHORT = settings("ppo")[1]
SPEEDS = {"speed/all", "speed/environment", "speed/inference", "speed/learning", "speed/logging"}
BOTH = {f"rollout/{what}_{part}" for what in ("return", "length") for part in ("mean", "low", "high")} | SPEEDS
LEARNING = {
    "ppo": {f"train/{name}" for name in ("explained_variance", "approx_kl", "clip_fraction", "entropy")},
    "dqn": {f"train/{name}" for name in ("q_value", "td_error")},
}


def rows(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return list(read_journal(folder / name))


def logged(run: Summary) -> list[dict[str, Any]]:
    return [row for row in rows(run.dir) if "eval/return_mean" not in row]


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_every_row_has_the_figures(kind: str) -> None:
    run = run_undisturbed(kind)
    learned = [row for row in logged(run) if "train/n_updates" in row]
    assert len(learned) >= 2
    for row in learned:
        assert BOTH | LEARNING[kind] <= row.keys()
        assert row["rollout/return_low"] <= row["rollout/return_mean"] <= row["rollout/return_high"]
        assert all(row[name] > 0 for name in SPEEDS)
        parts = sum(1 / row[name] for name in SPEEDS - {"speed/all"})
        assert parts == pytest.approx(1 / row["speed/all"])
    evaluations = [row for row in rows(run.dir) if "eval/return_mean" in row]
    assert evaluations
    for row in evaluations:
        assert {"eval/return_std", "eval/return_low", "eval/return_high"} <= row.keys()


def test_the_interval_is_students() -> None:
    sample = np.random.default_rng(0).normal(3, 2, size=100)
    found = spread(sample.tolist())
    expected = stats.t.interval(0.95, 99, loc=sample.mean(), scale=stats.sem(sample))
    assert (found.low, found.high) == pytest.approx(expected)


def test_evaluation_is_no_training_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of the parts does not include the sleep in each evaluation and checkpoint."""
    slept: list[float] = []

    def sleeping(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.2)
            slept.append(0.2)
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr("agents.experiment.play_episodes", sleeping(play_episodes))
    monkeypatch.setattr("agents.checkpoints.agent_state", sleeping(agent_state))
    run = lab.run("ppo-cartpole", SHORT | {"evaluation.every": 500, "checkpoint.steps": 500}, runs_dir="runs")
    evaluated_at_the_end = 2 * 0.2
    marks = [0, *(row["env_steps"] for row in logged(run))]
    parts = sum((b - a) / row["speed/all"] for a, b, row in zip(marks, marks[1:], logged(run), strict=False))
    assert len(slept) >= 8
    assert 0 < parts <= run.durations["train"] - (sum(slept) - evaluated_at_the_end)


@pytest.mark.parametrize(("kind", "kills"), [("ppo", (3, 2)), pytest.param("dqn", (4, 2), marks=pytest.mark.slow)])
def test_resumed_run_has_same_rows(kind: str, kills: tuple[int, ...]) -> None:
    undisturbed = run_undisturbed(kind, **FILMED)
    resumed = resume(run_killed(kind, *kills, **FILMED))
    assert list(run_differences(undisturbed.dir, resumed.dir)) == []
    names = [row["name"] for row in rows(undisturbed.dir, "media.jsonl")]
    assert names[-2:] == ["eval/episode", "best/episode"]
    assert set(names[:-2]) == {"latest/episode"}
    assert len({row["file"] for row in rows(undisturbed.dir, "media.jsonl")}) == len(names)


def test_filming_changes_nothing_else() -> None:
    filmed, plain = run_undisturbed("ppo", **FILMED), run_undisturbed("ppo")
    found = list(run_differences(filmed.dir, plain.dir))
    assert found
    assert all(line.startswith("media") or "next_film" in line for line in found)


def test_filming_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job = prepare(load("ppo-cartpole"), fast_dev_run=True)
    experiment = job.experiment
    assert isinstance(experiment, AgentExperiment)

    def drawing(*args: Any, **kwargs: Any) -> Any:
        torch.rand(1), np.random.rand(), random.random()
        return film(*args, **kwargs)

    monkeypatch.setattr("agents.evaluation.aside.film", drawing)
    experiment.agent.num_timesteps = 7
    before = pack(random_state(job.device))
    context = RunContext(Path.cwd(), 0, job.device, Trackers([]), fast_dev_run=True)
    experiment._film(["latest/episode"], context, 10)
    after = pack(random_state(job.device))
    assert [path.name for path in Path("media").iterdir()] == ["latest-episode-00000007.gif"]
    assert before[0] == after[0]
    assert all(torch.equal(before[1][name], after[1][name]) for name in before[1])


def test_failed_film_ends_no_training(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no screen")

    monkeypatch.setattr("agents.evaluation.aside.film", broken)
    more = {"evaluation.video": True, "evaluation.video_every": 500, "evaluation.every": 500}
    assert lab.run("ppo-cartpole", SHORT | more, runs_dir="runs").status == "completed"
    assert "CartPole-v1 could not be filmed: RuntimeError: no screen" in capsys.readouterr().err


def test_every_quarter_is_filmed() -> None:
    run = run_undisturbed("ppo", **{"evaluation.video": True, "evaluation.every": 256})
    at = [row["env_steps"] for row in rows(run.dir, "media.jsonl") if row["name"] == "latest/episode"]
    assert at == [512, 1024, 1536]


def test_only_speeds_are_exempt(tmp_path: Path) -> None:
    one, other = run_undisturbed("ppo"), run_undisturbed("ppo")
    journal = other.dir / "metrics.jsonl"
    text = journal.read_text()

    def changed(edit: Any) -> list[str]:
        lines = [json.loads(line) for line in text.splitlines()]
        edit(lines)
        journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return list(run_differences(one.dir, other.dir))

    assert changed(lambda lines: lines[0].update({"speed/all": math.pi})) == []
    assert changed(lambda lines: lines[0].pop("speed/all")) == []
    assert len(changed(lambda lines: lines[0].update({"rollout/return_low": 0.5}))) == 1
    only = {"time": 0, "axis": "env_steps", "env_steps": 9999, "speed/all": 1.0}
    assert len(changed(lambda lines: lines.append(only))) == 1, "a row of speeds alone is still a row"


def test_training_ends_when_solved() -> None:
    settings = {
        "evaluation.stop_at": 5.0,
        "evaluation.every": 512,
        "evaluation.best_episodes": 2,
        "evaluation.episodes": 2,
    }
    run = lab.run("ppo-cartpole", settings | {"evaluation.video": False}, runs_dir="runs")
    evaluations = [row for row in read_journal(run.dir / "metrics.jsonl") if "eval/return_mean" in row]
    assert [row["env_steps"] for row in evaluations] == [512, 512], "any CartPole policy lasts for more than 5 steps"
    assert run.status == "completed"
