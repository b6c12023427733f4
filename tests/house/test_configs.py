"""Every shipped experiment keeps the same contract, found by glob: nothing here names one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import lab
from lab.config.files import read
from lab.config.shipped import shipped
from lab.configuration import load
from lab.encoders.files import load_encoder
from lab.errors import ConfigError
from lab.runs.summary import Summary
from lab.tracking import read_journal

NAMES = list(shipped())

LIMITS = {
    "n_steps": 32,
    "n_epochs": 2,
    "learning_starts": 100,
    "buffer_size": 1000,
    "train_freq": 32,
    "gradient_steps": 8,
}
"""Largest values of an agent's settings in these tests."""
COPIES, WIDTH = 4, 64
SHORT = {"class_path": "gymnasium.wrappers.TimeLimit", "init_args": {"max_episode_steps": 40}}


def small(name: str) -> dict[str, Any]:
    """Overrides with which the experiment needs no download and few seconds; the classes in it stay."""
    config = read(shipped()[name])
    if "data" in config:
        return {"data.name": "digits"}
    agent = config["agent"]["init_args"]
    overrides = {f"agent.{key}": min(agent[key], most) for key, most in LIMITS.items() if key in agent}
    copies = min(config["env"].get("num_envs", 1), COPIES)
    overrides |= {"env.num_envs": copies, "evaluation.best_episodes": 2}
    if "n_epochs" in agent:  # learns from rollouts: two batches of each
        overrides["agent.batch_size"] = overrides["agent.n_steps"] * copies // 2
    if "hidden" in (encoder := agent["encoder"].get("init_args", {})):
        overrides["agent.encoder.hidden"] = [min(width, WIDTH) for width in encoder["hidden"]]
    if wrappers := config["env"].get("wrappers"):  # slow, and would start processes
        overrides |= {"env.wrappers": [*wrappers, SHORT], "env.vectorization": "sync"}
    return overrides


def kind(name: str) -> str:
    """The class that learns, and its encoder's."""
    config = read(shipped()[name])
    learner = config.get("model") or config["agent"]
    return f"{learner['class_path']} on {learner['init_args']['encoder']['class_path']}"


def needs_little(name: str) -> bool:
    return not read(shipped()[name]).get("env", {}).get("wrappers")


ONE_OF_A_KIND = list({kind(name): name for name in sorted(NAMES, key=needs_little)}.values())


def started(name: str, **overrides: Any) -> Summary:
    try:
        return lab.run(name, small(name) | overrides, runs_dir="runs", fast_dev_run=True)
    except ConfigError as error:
        if "package that is not installed" in str(error):
            pytest.skip(str(error))
        raise


def test_all_are_found() -> None:
    assert len(NAMES) == 24


@pytest.mark.parametrize("name", NAMES)
def test_file_opens_with_its_command_and_states_its_reference(name: str) -> None:
    text = shipped()[name].read_text()
    assert text.startswith(f"# lab run {name}\n# ")
    config = load(name)
    assert config.common.name == name
    assert config.common.description
    if config.common.reference:
        assert config.common.reference.protocol
        assert config.common.reference.source


@pytest.mark.parametrize("name", NAMES)
def test_resolved_config_is_itself_a_config(name: str, tmp_path: Path) -> None:
    resolved = load(name, {"seed": 7}).as_dict()
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(resolved))
    assert load(str(path)).as_dict() == resolved


@pytest.mark.parametrize("name", NAMES)
def test_a_run_from_end_to_end(name: str) -> None:
    run = started(name)
    assert run.status == "completed"
    assert run.family in ("agents", "generative", "supervised")
    assert run.verdict in ("not-comparable", "none")
    assert run.metrics
    assert all(value is not None for value in run.metrics.values())
    assert set(run.durations) == {"setup", "train", "saving", "evaluate"}
    assert run.throughput is not None
    assert run.throughput["value"] > 0
    check_folder(run)


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_a_run_can_be_repeated(name: str) -> None:
    run = started(name)
    before = {path: path.stat().st_mtime_ns for path in run.dir.rglob("*")}
    again = lab.evaluate(run.dir)
    assert {path: path.stat().st_mtime_ns for path in run.dir.rglob("*")} == before, (
        "evaluation leaves the run as it is"
    )
    assert again.metrics == run.metrics, "evaluation from the checkpoint gives the same figures"

    repeated = lab.run(str(run.dir / "config.yaml"), runs_dir="runs", fast_dev_run=True)
    assert repeated.name == name
    assert repeated.metrics == run.metrics, "the same config and seed give the same figures"
    assert same_encoders(repeated, run)

    other = started(name, seed=1)
    assert not same_encoders(other, run), "another seed gives others"


def same_encoders(one: Summary, other: Summary) -> bool:
    """Whether two runs have learned the same; their figures may agree before they have learned anything."""
    first, second = (load_encoder(run.dir / "artifacts" / "encoder").state_dict() for run in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


def check_folder(run: Summary) -> None:
    written = json.loads((run.dir / "summary.json").read_text())
    assert written["schema"] == 1
    assert written["metrics"] == run.metrics
    assert written["versions"]["torch"]
    assert set(written["dataset"]) == {"name", "sha256", "fallback"}
    for row in read_journal(run.dir / "metrics.jsonl"):
        assert row["axis"] in ("env_steps", "global_step", "epoch")
        assert row[row["axis"]] >= 0
    assert list((run.dir / "media").iterdir())
    encoder = load_encoder(run.dir / "artifacts" / "encoder")
    assert encoder.features_dim > 0
    assert not list(run.dir.rglob("*.tmp"))
