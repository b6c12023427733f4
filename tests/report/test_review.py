"""Findings: each question with runs that raise it, and runs that raise nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml
from gymnasium import spaces

import lab
from agents.environments.resumable import EPISODE
from agents.evaluation.episodes import episode_seeds
from lab.config.roles import Roles, roles_before_0_2
from lab.console.wording import near, plural, ranges
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Finding, lines
from lab.report.review.outcomes import parted
from lab.report.review.review import QUESTIONS, review
from lab.resuming import resume
from lab.runs.folder import locked
from lab.runs.select import Run, choose
from lab.runs.summary import Summary, versions
from lab.system.randomness import derived_seed
from tests.faults.harness import copy_of_killed, settings

REFERENCE: dict[str, Any] = {"metric": "eval/return_mean", "value": 100.0, "direction": "max", "tolerance": 0.0, "n": 1}
GIT = {"commit": "a" * 40, "dirty": False}
VERSIONS = versions()
numbers = count()

CONFIG: dict[str, Any] = {
    "experiment": "agents.experiment.AgentExperiment",
    "agent": {"class_path": "agents.ppo.PPO", "init_args": {"gamma": 0.9}},
    "env": {"id": "Walk-v0", "kwargs": {}, "wrappers": []},
    "total_timesteps": 1000,
    "evaluation": {"episodes": 100, "every": 500},
}


class Room:
    """A runs folder to which a test adds runs as the lab would have left them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self, seed: int, score: float | None = 110.0, *, name: str = "walk", std: float | None = 20.0, **more: Any
    ) -> Summary:
        """A finished run. `more` are fields of the summary, `reference_...` of its reference, `set_a__b` settings, and
        `rows` of its journal."""
        run_id = f"20261121-{next(numbers):06d}-s{seed}-abcd"
        reference = REFERENCE | {key[10:]: more.pop(key) for key in [*more] if key.startswith("reference_")}
        config = json.loads(json.dumps(CONFIG | {"seed": seed, "name": name}))
        for key in [key for key in more if key.startswith("set_")]:
            *path, last = key[4:].split("__")
            inside = config
            for part in path:
                inside = inside.setdefault(part, {})
            inside[last] = more.pop(key)
        metric = str(reference["metric"])
        metrics = {metric: score} if score is not None else {}
        if std is not None and score is not None:
            metrics[f"{metric.removesuffix('_mean')}_std"] = std
        if score is not None and reference["value"] is not None and "verdict" not in reference:
            short = (reference["value"] - score) * (1 if reference["direction"] == "max" else -1)
            reference["verdict"] = "met" if short <= reference["tolerance"] else "missed"
        rows = more.pop("rows", [{"train/loss": seed + 0.5}])
        made = Summary(
            name, "agents", run_id, str(self.folder / name / run_id), seed, "cpu", 1, {"name": "Walk-v0"}, reference
        )
        made = replace(
            made,
            **{"status": "completed", "metrics": metrics, "git": GIT, "versions": dict(VERSIONS)}
            | {"resume": {"exact": True, "sessions": 1}}
            | more,
        )
        made.dir.mkdir(parents=True)
        (made.dir / "config.yaml").write_text(yaml.safe_dump(config))
        journal = [{"time": 1.0 + at, "axis": "env_steps", "env_steps": at, **row} for at, row in enumerate(rows)]
        (made.dir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in journal))
        made.write()
        return made

    def sound(self, **more: Any) -> list[Summary]:
        """Five runs without a finding."""
        return [self.add(seed, 110.0 + score, **more) for seed, score in enumerate([0.3, -0.9, 1.0, 0.2, -0.6])]

    @property
    def runs(self) -> list[Run]:
        return choose([], self.folder)

    def found(self, *names: str) -> dict[str, Finding]:
        return {finding.kind: finding for finding in review(self.runs, names or ("experiment",))}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "runs")


def test_sound_runs_raise_nothing(room: Room) -> None:
    room.sound()
    room.sound(name="stroll", set_env__id="Stroll-v0", dataset={"name": "Stroll-v0"})
    assert room.found() == {}
    assert list(lines([], 100)) == ["no findings"]


Must = Callable[[Room], list[Summary]]
"""Adds runs and returns those that the finding is about."""


def few(room: Room) -> list[Summary]:
    return [room.add(0), room.add(1)]


def one_twice(room: Room) -> list[Summary]:
    return [room.add(7, 110.0) for _ in range(3)]


def stand_in(room: Room) -> list[Summary]:
    room.sound()
    dataset = {"name": "digits", "fallback": "mnist cannot be downloaded"}
    return [room.add(5, name="other", dataset=dataset, reference_value=None)]


def fast(room: Room) -> list[Summary]:
    room.sound()
    return [room.add(0, fast_dev_run=True), room.add(9, fast_dev_run=True)]


def killed(room: Room) -> list[Summary]:
    room.sound()
    return [room.add(5, None, status="running"), room.add(6, None, status="interrupted")]


def failed(room: Room) -> list[Summary]:
    room.sound()
    error = "DivergedError: train/loss became nan"
    again = room.add(0, None, status="diverged", error=error)  # whose seed has been finished by another run
    return [again, room.add(5, None, status="failed", error="OSError: x")]


def carried(room: Room) -> list[Summary]:
    return [room.add(seed, score, std=60.0) for seed, score in enumerate([98.0, 99.0, 97.0, 99.0, 112.0])]


def carried_down(room: Room) -> list[Summary]:
    """The same in the other direction."""
    return [room.add(seed, score, std=60.0) for seed, score in enumerate([102.0, 101.0, 103.0, 101.0, 88.0])]


def turned_by_one_seed(room: Room) -> list[Summary]:
    """Measured with DQN on Acrobot: without one seed the mean misses, but the other two do not decide it."""
    scores = enumerate([-76.07, -75.95, -77.43])
    return [room.add(seed, score, reference_value=-76.639) for seed, score in scores]


def turned_down_by_one_seed(room: Room) -> list[Summary]:
    scores = enumerate([77.2, 77.32, 75.9])
    return [room.add(seed, score, reference_value=76.9) for seed, score in scores]


def by_seed(room: Room) -> list[Summary]:
    return [room.add(seed, score) for seed, score in enumerate([100.0, 90.0, 100.0, 85.0, 88.0])]


def unsure(room: Room) -> list[Summary]:
    return [room.add(seed, score) for seed, score in enumerate([99.0, 108.0, 95.0, 104.0, 106.0])]


def unsure_of_one(room: Room) -> list[Summary]:
    return [room.add(0, 98.0)]


def not_comparable(room: Room) -> list[Summary]:
    """One case for each reason, not for each seed."""
    room.sound()
    reason = "the reference is for LunarLander-v2, this run used LunarLander-v3"
    more: dict[str, Any] = {"set_env__id": "Run-v0", "dataset": {"name": "Run-v0"}, "reference_reason": reason}
    return [room.add(seed, name="run", reference_verdict="not-comparable", **more) for seed in range(2)]


BOUND: dict[str, Any] = {
    "std": None,
    "reference_metric": "test/nll",
    "reference_direction": "min",
    "reference_protocol": "3,280 epochs; with 5,000 samples",
    "descriptions": {"test/nll": "negative log-likelihood: an upper bound, tighter with more samples"},
}


def missed_by_bound(room: Room) -> list[Summary]:
    return room.sound(**BOUND, set_model__nll_samples=500)


def by_tolerance(room: Room) -> list[Summary]:
    return [room.add(s, score, reference_tolerance=5.0) for s, score in enumerate([97.0, 97.2, 96.9, 97.1, 97.0])]


def two(room: Room) -> list[Summary]:
    return [room.add(seed, score) for seed, score in enumerate([20.0, 180.0, 183.0, 22.0])]


def two_of_no_known_noise(room: Room) -> list[Summary]:
    scores = enumerate([0.98, 0.11, 0.985, 0.982, 0.10])
    return [
        room.add(seed, score, std=None, reference_metric="test/accuracy", reference_value=0.5) for seed, score in scores
    ]


def alone(room: Room) -> list[Summary]:
    room.sound(reference_value=50.0)
    return [room.add(5, 150.0, reference_value=50.0)]


def mixed(room: Room) -> list[Summary]:
    return [*room.sound(), *room.sound(set_agent__init_args__gamma=0.99)]


def longer(room: Room) -> list[Summary]:
    return [*room.sound(), *room.sound(set_total_timesteps=2000)]


def longer_peer(room: Room) -> list[Summary]:
    return [*room.sound(), *room.sound(name="run", set_total_timesteps=2000)]


def more_episodes(room: Room) -> list[Summary]:
    return [*room.sound(), *room.sound(name="run", set_evaluation__episodes=10)]


def more_samples(room: Room) -> list[Summary]:
    few, many = ({"set_model__nll_samples": samples, "std": None} for samples in (500, 5000))
    return [*room.sound(**few), *room.sound(**many)]


def more_epochs(room: Room) -> list[Summary]:
    few, many = ({"set_trainer__max_epochs": epochs, "set_total_timesteps": None} for epochs in (5, 10))
    return [*room.sound(**few), *room.sound(**many)]


def other_hash(room: Room) -> list[Summary]:
    one, other = ({"name": "mnist", "sha256": letter * 64} for letter in "ab")
    return [*room.sound(dataset=one), *room.sound(dataset=other)]


def other_reference(room: Room) -> list[Summary]:
    return [*room.sound(), *room.sound(reference_value=90.0)]


def other_task(room: Room) -> list[Summary]:
    return [*room.sound(), *room.sound(name="run", set_env__kwargs={"wind": 3})]


def not_finite(room: Room) -> list[Summary]:
    room.sound()
    return [room.add(5, rows=[{"train/loss": 0.5}, {"train/loss": None}, {"train/explained_variance": None}])]


def inexact(room: Room) -> list[Summary]:
    room.sound()
    resume = {"exact": False, "sessions": 2, "reason": "environments 1 did not come back"}
    return [room.add(5, resume=resume), room.add(6, resume=resume | {"sessions": 1, "forced": ["torch"]})]


def forked(room: Room) -> list[Summary]:
    room.sound()
    return [room.add(5, parent={"run_id": "20261121-000000-s0-abcd", "checkpoint": 500})]


def dirty(room: Room) -> list[Summary]:
    room.sound()
    return [room.add(5, git=GIT | {"dirty": True}), room.add(6, git=None)]


def commits(room: Room) -> list[Summary]:
    return [*room.sound(), room.add(5, git=GIT | {"commit": "b" * 40})]


def version(room: Room) -> list[Summary]:
    return [*room.sound(), room.add(5, versions=VERSIONS | {"torch": "1.0"})]


def machine(room: Room) -> list[Summary]:
    return [*room.sound(), room.add(5, threads=8)]


def unlike_itself(room: Room) -> list[Summary]:
    first, *_ = room.sound()
    return [first, room.add(0, 110.1)]


def alike(room: Room) -> list[Summary]:
    room.sound()
    return [room.add(seed, 110.5, rows=[{"train/loss": 0.25, "speed/all": 5.0 * seed}]) for seed in (5, 6)]


def of_training(room: Room) -> list[Summary]:
    return room.sound(reference_metric="rollout/return_mean")


def best(room: Room) -> list[Summary]:
    return room.sound(reference_metric="best/return_mean", reference_protocol="the last policy")


def ignored_seed(room: Room) -> list[Summary]:
    room.sound()
    rows = [{"eval/return_mean": mean, "eval/return_std": 0.0} for mean in (10.0, 60.0, 90.0, 110.0)]
    return [room.add(5, std=0.0, rows=rows)]


def strangers(room: Room) -> list[Summary]:
    room.sound()
    return [room.add(5, 500.0, mine=False)]


def below_a_baseline(room: Room) -> list[Summary]:
    bounds = {"all known": {"eval/return_mean": 900.0}}
    room.sound(name="run", baselines={"random": {"eval/return_mean": 20.0}}, bounds=bounds)
    return room.sound(baselines={"nearest": {"eval/return_mean": 110.5}, "constant": {"eval/return_mean": 0.0}})


def target_missed_on_one_seed(room: Room) -> list[Summary]:
    room.sound()
    target = {"metric": "eval/return_mean", "value": 120.0, "direction": "max", "verdict": "missed"}
    task: dict[str, Any] = {"name": "run", "dataset": {"name": "Run-v0"}}
    return [room.add(0, reference_value=None, target=target, **task)]


MUST: dict[str, list[Must]] = {
    "below-baseline": [below_a_baseline],
    "few-seeds": [few, one_twice, target_missed_on_one_seed],
    "stand-in-data": [stand_in],
    "fast-dev": [fast],
    "unfinished": [killed],
    "failed": [failed],
    "one-seed-carries": [carried, carried_down],
    "verdict-by-seed": [by_seed],
    "too-close": [unsure, unsure_of_one, turned_by_one_seed, turned_down_by_one_seed],
    "not-comparable": [not_comparable],
    "missed-by-bound": [missed_by_bound],
    "met-by-tolerance": [by_tolerance],
    "two-outcomes": [two, two_of_no_known_noise],
    "outlier": [alone],
    "mixed-settings": [mixed],
    "unequal-budgets": [longer, longer_peer, more_epochs],
    "unequal-protocols": [more_episodes, more_samples, other_hash, other_reference, other_task],
    "not-finite": [not_finite],
    "inexact-resume": [inexact],
    "not-yours": [strangers],
    "fork": [forked],
    "uncommitted": [dirty],
    "several-commits": [commits],
    "several-versions": [version],
    "several-machines": [machine],
    "unlike-itself": [unlike_itself],
    "seeds-alike": [alike],
    "judged-in-training": [of_training, best],
    "episodes-alike": [ignored_seed],
}


@pytest.mark.parametrize(("kind", "must"), [(kind, must) for kind, each in MUST.items() for must in each])
def test_problem_is_found(room: Room, kind: str, must: Must) -> None:
    """The finding is the only one, and is about exactly those runs."""
    about = must(room)
    found = room.found()
    assert set(found) == {kind} | ({"few-seeds"} if must is unsure_of_one else set())
    assert sorted(found[kind].runs) == sorted(run.run_id for run in about)
    assert found[kind].text.endswith(".")


def test_one_run_is_not_met_by_tolerance(room: Room) -> None:
    """Its uncertainty is not known."""
    room.add(0, 97.0, reference_tolerance=5.0)
    assert "met-by-tolerance" not in room.found()


def three(room: Room) -> None:
    for seed in range(3):
        room.add(seed, 110.0 + seed)


def no_claim(room: Room) -> None:
    room.add(0, reference_value=None)
    room.add(1, name="other", reference_verdict="none")


def tried_again(room: Room) -> None:
    room.add(0, None, status="running")
    room.add(1, None, status="failed", error="OSError: the disk is full")
    room.sound()


def far_off(room: Room) -> None:
    for seed, score in enumerate([40.0, 62.0, 55.0]):
        room.add(seed, score)
    room.add(0, 70.0, name="alone", set_env__id="Run-v0", dataset={"name": "Run-v0"}, reference_value=40.0)


def within_tolerance(room: Room) -> None:
    for seed, score in enumerate([97.0, 104.0, 99.0, 101.0, 98.0]):
        room.add(seed, score, reference_tolerance=5.0)


def noisy(room: Room) -> None:
    """Scores like those of two outcomes, but the episodes of each run differ as much."""
    for seed, score in enumerate([120.0, 280.0, 283.0, 122.0]):
        room.add(seed, score, std=100.0, reference_value=-500.0)


def alone_in_the_noise(room: Room) -> None:
    room.sound()
    room.add(5, 125.0, std=30.0)


def of_other_tasks(room: Room) -> None:
    room.sound()
    more = {"set_env__id": "Run-v0", "dataset": {"name": "Run-v0"}, "set_total_timesteps": 9000}
    room.sound(set_evaluation__episodes=7, set_env__kwargs={"wind": 3}, **more)


def steps_and_epochs(room: Room) -> None:
    room.sound(name="agent")
    room.sound(name="model", set_total_timesteps=None, set_trainer__max_epochs=3)


def ended_early(room: Room) -> None:
    """The budget of these runs does not say how long they trained."""
    room.sound()
    room.sound(name="fast", set_total_timesteps=9000, set_evaluation__stop_at=90.0)
    room.sound(name="fast", set_total_timesteps=5000, set_evaluation__stop_at=90.0)
    more = {"set_total_timesteps": None, "set_trainer__early_stopping": {"metric": "val/loss"}, "std": None}
    for epochs in (5, 10):
        room.sound(name="model", set_trainer__max_epochs=epochs, **more)


def bounds(room: Room) -> None:
    """A met bound stays met; a figure with the protocol's samples, or one that is no bound, is missed for certain."""
    room.sound(**BOUND, set_model__nll_samples=500, reference_value=120.0)
    more: dict[str, Any] = {"dataset": {"name": "b"}, "name": "b"}
    room.sound(**BOUND, **more, set_model__nll_samples=5000)
    more = {"dataset": {"name": "d"}, "name": "d", "reference_protocol": "says nothing of it"}
    room.sound(**BOUND | more, set_model__nll_samples=500)
    more = {"dataset": {"name": "c"}, "name": "c", "descriptions": {"test/nll": "exact"}}
    room.sound(**BOUND | more, set_model__nll_samples=500)


def watched_more_often(room: Room) -> None:
    room.add(9, set_evaluation__every=100, set_evaluation__video=True, set_trainer__log_every=7, set_threads=2)
    room.sound()


def null_elsewhere(room: Room) -> None:
    room.sound(rows=[{"train/loss": 0.5, "train/null": 1.0, "a null: ": 2.0}, {"train/explained_variance": None}])


def never_interrupted(room: Room) -> None:
    """A run on a GPU could not be resumed exactly, but these were never resumed."""
    room.sound(
        resume={"exact": False, "sessions": 1, "reason": "some operations on cuda do not give the same bits twice"}
    )


def resumed_exactly(room: Room) -> None:
    room.sound(resume={"exact": True, "sessions": 4, "reason": None})


def other_versions_of_no_figure(room: Room) -> None:
    room.sound()
    python = ".".join([*VERSIONS["python"].split(".")[:2], "99"])
    room.add(5, versions=VERSIONS | {"wandb": "0.1", "python": python, "a-new-package": "1"})


def other_machines_for_others(room: Room) -> None:
    room.add(0, 110.3, threads=8, git=GIT | {"commit": "c" * 40})  # the same seed has been run again since
    room.sound()
    more: dict[str, Any] = {
        "git": GIT | {"commit": "b" * 40},
        "versions": VERSIONS | {"torch": "1.0"},
        "device": "cuda",
    }
    room.sound(name="run", **more)


def perfect_seeds(room: Room) -> None:
    """Seeds that all solve the task have the same last rows, which say nothing about their training."""
    for seed in range(4):
        room.add(seed, 110.0, std=0.0, rows=[{"eval/return_mean": 110.0, "eval/return_std": 0.0}] * 6)


def solved(room: Room) -> None:
    rows = [
        {"eval/return_mean": mean, "eval/return_std": std} for mean, std in ((10.0, 3.0), (60.0, 20.0), (110.0, 0.0))
    ]
    room.sound(std=0.0, rows=rows)


def never_solved(room: Room) -> None:
    room.sound(std=0.0, rows=[{"eval/return_mean": -200.0, "eval/return_std": 0.0}] * 8)


def best_as_published(room: Room) -> None:
    room.sound(reference_metric="best/return_mean", reference_protocol="of the best checkpoint")


def less_is_better(room: Room) -> None:
    for seed, score in enumerate([90.1, 91.0, 89.6]):
        room.add(seed, score, std=None, reference_metric="test/nll", reference_direction="min")


INNOCENT = [
    *(three, no_claim, tried_again, far_off, within_tolerance, noisy, alone_in_the_noise, of_other_tasks),
    *(steps_and_epochs, watched_more_often, never_interrupted, resumed_exactly, other_versions_of_no_figure),
    *(other_machines_for_others, perfect_seeds, solved, never_solved, best_as_published, less_is_better),
    *(null_elsewhere, ended_early, bounds),
]


@pytest.mark.parametrize("innocent", INNOCENT)
def test_innocent_runs_raise_nothing(room: Room, innocent: Callable[[Room], None]) -> None:
    innocent(room)
    found = room.found()
    assert found.keys() == ({"few-seeds"} if innocent is far_off else set())


def test_every_question_is_tested() -> None:
    """One of them is asked in the next test."""
    assert {*MUST, "running"} == {question.kind for question in QUESTIONS}


def test_running_is_not_unfinished(room: Room) -> None:
    room.sound()
    at_work = room.add(5, None, status="running")
    with locked(at_work.dir):
        found = review(room.runs)
    assert [(one.kind, one.weight, one.runs) for one in found] == [("running", "minor", (at_work.run_id,))]


def test_unfinished_beside_mean_is_major(room: Room) -> None:
    room.add(0, None, status="interrupted")
    assert room.found()["unfinished"].weight == "minor"
    room.sound(name="run")
    room.add(7, None, name="run", status="interrupted")
    assert room.found()["unfinished"].weight == "major"


def test_grouped_settings_are_not_mixed(room: Room) -> None:
    mixed(room)
    assert "--group-by experiment,agent.gamma" in room.found()["mixed-settings"].text
    assert room.found("experiment", "agent.gamma") == {}


def test_early_stop_makes_evaluations_matter(room: Room) -> None:
    """Without early stopping, how often a run is evaluated changes nothing."""
    more: dict[str, Any] = {"set_evaluation__stop_at": 90.0}
    room.sound(**more)
    room.add(7, set_evaluation__every=100, **more)
    assert "mixed-settings" in room.found()


def test_finding_has_a_command(room: Room) -> None:
    room.add(0, 90.0)
    last = room.add(4, 110.0)
    (finding,) = review(room.runs)
    assert finding.title == "fewer than three repeats"
    assert "1 of 1 verdict" in finding.text
    assert "90 on seed 0, 110 on seed 4; published 100 from 1 run" in finding.text.replace(" (p", "; p")
    _, command, _ = finding.text.rsplit("`", 2)
    assert shlex.split(command) == [*again(last), "--seeds", "0-4", "--runs-dir", near(room.folder)]


def again(run: Summary) -> list[str]:
    return ["lab", "run", near(run.dir / "config.yaml")]


def test_commands_name_unusual_folder(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise they would not find existing runs, and the next report would not find theirs."""
    for make in (few, forked, mixed, unlike_itself, stand_in, inexact, fast):
        make(room)
    options = f" --runs-dir {near(room.folder)}"
    there = [command for finding in review(room.runs) for command in commands_of(finding)]
    assert {command.split()[1] for command in there} >= {"run", "runs", "report"}
    assert all(options in command for command in there if not command.startswith(("lab data", "lab resume")))
    monkeypatch.setenv("LAB_RUNS_DIR", str(room.folder))
    usual = [command for finding in review(room.runs) for command in commands_of(finding)]
    assert usual == [command.replace(options, "") for command in there]


def commands_of(finding: Finding) -> list[str]:
    return re.findall("`(lab [^`]*)`", finding.text)


def test_reasons_are_given_in_full(room: Room) -> None:
    not_comparable(room)
    finding = room.found()["not-comparable"]
    assert "run, 2 runs: the reference is for LunarLander-v2, this run used LunarLander-v3." in finding.text
    assert finding.weight == "minor"


def test_bound_has_a_command(room: Room) -> None:
    first, *_ = missed_by_bound(room)
    assert f"`lab eval {near(first.dir)} --model.nll_samples=5000`" in room.found()["missed-by-bound"].text


def test_each_group_has_its_diff(room: Room) -> None:
    for name, old, new in (("walk", "a", "b"), ("stroll", "b", "c")):
        task: dict[str, Any] = {"set_env__id": name, "dataset": {"name": name}, "name": name}
        room.sound(git=GIT | {"commit": old * 40}, **task)
        room.add(9, git=GIT | {"commit": new * 40}, **task)
    text = room.found()["several-commits"].text
    assert "`git diff --stat aaaaaaa bbbbbbb`" in text
    assert "`git diff --stat bbbbbbb ccccccc`" in text


def test_folds_count_like_seeds(room: Room) -> None:
    """They are repeats of one experiment: none hides another, and the command asks for more of both."""
    roles = roles_before_0_2() | Roles(repeats=("data.fold",))
    for fold, score in enumerate([110.0, 111.5]):
        room.add(0, score, set_data__fold=fold, roles=roles.as_dict())
    (finding,) = review(room.runs)
    assert "walk met with 110 on fold 0, 111.5 on fold 1" in finding.text
    assert "--vary seed=0-2 --vary data.fold=0,1" in finding.text
    room.add(0, 109.6, set_data__fold=2, roles=roles.as_dict())
    room.add(0, 80.0, set_data__fold=1, roles=roles.as_dict(), status="failed")
    assert room.found() == {}
    assert [len(group.scores) for group in Evidence(room.runs).groups] == [3]


def test_shared_fold_is_not_named(room: Room) -> None:
    """All runs of an experiment may test one fold, as the published figure does."""
    roles = roles_before_0_2() | Roles(repeats=("data.fold",))
    for seed in (0, 1):
        room.add(seed, set_data__fold=1, roles=roles.as_dict())
    (finding,) = review(room.runs)
    assert "fold" not in finding.text
    assert "--seeds 0-4" in finding.text


def test_folds_with_two_outcomes_are_named(room: Room) -> None:
    roles = roles_before_0_2() | Roles(repeats=("data.fold",))
    for fold, score in enumerate([500.0, 500.0, 30.0, 500.0, 32.0, 500.0]):
        room.add(0, score, std=1.0, set_data__fold=fold, roles=roles.as_dict())
    text = room.found()["two-outcomes"].text
    assert "30 to 32 on folds 2,4 and 500 on folds 0-1,3,5" in text


def test_findings_are_folded_and_ordered(room: Room) -> None:
    for number in range(30):
        room.add(0, name=f"walk-{number}", git=GIT | {"dirty": True}, dataset={"name": f"Walk-v{number}"})
    fast(room)
    room.add(9, rows=[{"train/loss": None}])
    found = review(room.runs)
    assert [one.kind for one in found] == ["fast-dev", "few-seeds", "not-finite", "uncommitted"]
    assert [one.weight for one in found] == ["major", "major", "minor", "minor"]
    assert "30 of 31 verdicts" in found[1].text
    assert "and 27 more" in found[1].text
    assert len(found[3].runs) == 30
    assert "30 of 36 runs" in found[3].text
    assert found == review(room.runs)


def test_lines_for_a_terminal(room: Room) -> None:
    fast(room)
    told = list(lines(review(room.runs), 100))
    assert told[0] == "1. fast-dev runs (major, 2 runs)"
    assert told[-1] == "1 finding, 1 of them major"
    assert all(len(line) <= 120 for line in told)
    assert any("lab runs rm" in line for line in told)


def test_command_has_own_line(room: Room) -> None:
    """This holds for long paths and with text around the command."""
    last = [room.add(0, name=f"{'long-' * 20}{at}", dataset={"name": str(at)}) for at in range(2)]
    told = [line.strip() for line in lines(review(room.runs), 100)]
    for run in last:
        assert shlex.join([*again(run), "--seeds", "0-4", "--runs-dir", near(room.folder)]) in told
    assert not {";", ".", ""} & set(told)


def test_hostile_names_stay_text(room: Room, tmp_path: Path) -> None:
    name = "x'; rm -rf ~; '`id`\x1b[2J\n" + "y" * 100
    room.add(0, name=name, dataset={"name": name}, git=GIT | {"commit": name}, status="failed", error=name)
    room.add(1, name=name, git=GIT | {"commit": "$(id)"}, parent={"run_id": name, "checkpoint": 5})
    room.add(2, name=name, resume={"exact": False, "sessions": 2, "reason": name})
    told = "\n".join(lines(review(room.runs), 100))
    assert "runs that failed" in told
    assert all(letter.isprintable() or letter == "\n" for letter in told)
    commands = [line.strip() for line in told.splitlines() if line.strip().startswith("lab run ")]
    assert commands
    assert all(shlex.split(command)[2].endswith("/config.yaml") for command in commands)
    assert {len(shlex.split(command)) for command in commands} <= {5, 7}  # with --runs-dir, and --seeds


@pytest.mark.parametrize(
    "damage",
    [
        {"reference": {"metric": 5, "value": "much", "direction": [], "verdict": "met", "n": "x"}},
        {"reference": {"metric": "eval/return_mean", "value": 10**400, "verdict": "met", "tolerance": "a"}},
        {"resume": {"sessions": "x", "exact": False}, "parent": {"run_id": 5}, "git": {"dirty": "yes", "commit": 5}},
        {"versions": {"torch": 5, "python": None}, "dataset": {}, "metrics": {"eval/return_mean": None}},
        {"metrics": {}, "dataset": {"name": ["a"], "sha256": 7, "fallback": {"a": 1}}},
    ],
)
def test_damaged_run_stops_no_review(room: Room, damage: dict[str, Any]) -> None:
    room.sound()
    run = room.add(5, **{key: value for key, value in damage.items() if key != "reference"})
    if "reference" in damage:
        replace(run, reference=damage["reference"]).write()
    run.dir.joinpath("config.yaml").write_bytes(b"\xff{: [")
    run.dir.joinpath("metrics.jsonl").write_bytes(b'\xff: null\n{"eval/return_std": null\n[1]\n')
    room.add(6, std=0.0).dir.joinpath("metrics.jsonl").unlink()
    assert len(room.runs) == 6, "what is damaged is left out"
    assert review([*room.runs, Run(replace(run, **damage))]), "and stops nothing where it comes from elsewhere"


@pytest.mark.parametrize("seeds", [5, 8])
def test_normal_seeds_rarely_split(seeds: int) -> None:
    """This holds where episodes differ as much as seeds, and where nothing is known about the episodes."""
    samples = np.random.default_rng(0).normal(100.0, 20.0, (2000, seeds)).tolist()
    for deviations in ([20.0] * seeds, []):
        assert sum(parted(scores, deviations) is not None for scores in samples) <= 0.02 * len(samples)


def test_one_seed_may_split_off() -> None:
    """Measured with DQN on MountainCar, whose episodes differ by 10 to 31. Two seeds are too few to tell."""
    assert parted([-187.1, -179.6, -103.2], [20.7, 30.6, 9.8]) == 2
    assert parted([-187.1, -179.6, -103.2], [20.7, 60.0, 9.8]) is None
    assert parted([-187.1, -103.2], [20.7, 9.8]) is None


def test_one_and_many() -> None:
    assert [plural("seed", n) for n in (0, 1, 2)] == ["seeds", "seed", "seeds"]


def test_seeds_become_ranges() -> None:
    assert [ranges(seeds) for seeds in ([0], [2, 0, 1], [0, 1, 3, 4, 9])] == ["0", "0-2", "0-1,3-4,9"]


def test_evaluation_episodes_are_fresh() -> None:
    """The review need not ask this, because seeds are derived so that they cannot meet."""
    for seed in range(3):
        trained = {derived_seed(seed, copy, EPISODE, episode) for copy in range(8) for episode in range(200)}
        chosen, judged = (set(episode_seeds(seed, purpose, 100)) for purpose in ("choose", "judge"))
        assert not trained & (chosen | judged)
        assert not chosen & judged
        assert not judged & set(episode_seeds(seed + 1, "judge", 100))


class Forgetful(gym.Env[Any, Any]):
    """An environment that ignores its seed: ten steps, each rewarded with the action."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.at = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        return np.zeros(1, np.float32), float(action[0]), self.at == 10, False, {}


def test_real_runs_are_reviewed() -> None:
    """A run that was killed and resumed, two more seeds, and an environment that ignores its seed."""
    if "Forgetful-v0" not in gym.registry:
        gym.register("Forgetful-v0", lambda **settings: Forgetful())
    folder = copy_of_killed("ppo", 2)
    assert "unfinished" in {finding.kind for finding in review(choose([], Path("killed")))}
    assert resume(folder).resume["sessions"] == 2
    name, overrides = settings("ppo")
    for seed in (1, 2):
        lab.run(name, overrides | {"seed": seed}, runs_dir="killed")
    sound = {finding.kind for finding in review(choose([], Path("killed")))}
    assert "not-comparable" in sound, "they train for a moment only"
    assert sound <= {"not-comparable", "uncommitted"}  # the checkout may have changes
    short = {"env.id": "Forgetful-v0", "total_timesteps": 2048, "agent.n_steps": 64, "evaluation.every": 512}
    lab.run("ppo", short | {"evaluation.episodes": 5, "evaluation.video": False}, runs_dir="forgetful")
    assert "episodes-alike" in {finding.kind for finding in review(choose([], Path("forgetful")))}
