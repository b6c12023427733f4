"""Choosing runs by name, and reading their fields."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from lab.errors import ConfigError
from lab.runs.select import choose, flat, group
from lab.runs.summary import Summary, new_run_id

CONFIG = {"agent": {"class_path": "agents.ppo.PPO", "init_args": {"gamma": 0.9, "encoder": {"init_args": {"a": [1]}}}}}


def record(runs: Path, name: str, seed: int) -> Summary:
    """A finished run's folder, with what these tests need."""
    run_id = new_run_id(seed)
    summary = Summary(name, "agents", run_id, str(runs / name / run_id), seed, "cpu", 1, {"name": name}, {})
    summary.metrics, summary.status, summary.durations = {"eval/return_mean": 10.0 * seed}, "completed", {"train": 2.0}
    summary.dir.mkdir(parents=True)
    (summary.dir / "config.yaml").write_text(yaml.safe_dump({**CONFIG, "seed": seed}))
    summary.write()
    return summary


def test_names_and_patterns(tmp_path: Path) -> None:
    a, b = record(tmp_path, "ppo-a", 0), record(tmp_path, "ppo-b", 1)
    c = record(tmp_path / "elsewhere", "dqn-a", 2)

    def ids(*names: str) -> list[str]:
        return [run.record.run_id for run in choose(names, tmp_path)]

    assert ids() == ids("ppo-*") == ids("ppo-b", "ppo-a", "ppo-*") == sorted([a.run_id, b.run_id])
    assert ids("ppo-a") == ids(a.run_id) == ids(a.run_id[:-1]) == ids(a.run_dir) == [a.run_id]
    assert set(ids(c.run_dir, "*-b")) == {b.run_id, c.run_id}
    with pytest.raises(ConfigError, match=r"no run 'ppo-c'.*did you mean 'ppo-"):
        choose(["ppo-a", "ppo-c"], tmp_path)


def test_fields(tmp_path: Path) -> None:
    record(tmp_path, "ppo-a", 3)
    (run,) = choose([], tmp_path)
    expected = {"eval/return_mean": 30, "experiment": "ppo-a", "seed": 3, "status": "completed", "verdict": "none"}
    expected |= {"durations.train": 2, "agent.gamma": 0.9, "agent.encoder.a": [1], "agent.delta": None, "x": None}
    assert {name: run.value(name) for name in expected} == expected
    assert flat(run.config) == {"agent": "agents.ppo.PPO", "agent.gamma": 0.9, "agent.encoder.a": [1], "seed": 3}


def test_exploding_config_is_empty(tmp_path: Path) -> None:
    names = "abcdefghij"
    lines = [f"a: &a [{', '.join('x' * 10)}]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in pairwise(names)]
    folder = record(tmp_path, "ppo-a", 0).dir
    (folder / "config.yaml").write_text("\n".join(lines))
    (run,) = choose([], tmp_path)
    assert run.config == {}


def test_groups(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        record(tmp_path, "ppo-a" if seed else "ppo-b", seed)
    groups = group(choose([], tmp_path), ["experiment", "agent.encoder.a"])
    assert {key: len(runs) for key, runs in groups.items()} == {("ppo-b", "[1]"): 1, ("ppo-a", "[1]"): 2}
