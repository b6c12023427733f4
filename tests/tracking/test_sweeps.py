"""Sweeps: W&B understands each file, the experiment has each setting and metric, and an agent runs a trial."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from lab.cli.main import main
from lab.config.files import setting
from lab.config.shipped import shipped
from lab.configuration import load
from lab.runs.summary import local_runs
from lab.tracking.destination import in_no_sweep, trial
from tests.support.wandb_server import WandbServer

FOLDER = next(iter(shipped().values())).parents[1] / "sweeps"
FILES = sorted(FOLDER.glob("*.yaml"))
SMALL: dict[str, dict[str, Any]] = {
    "ppo-cartpole": {"total_timesteps": 512, "evaluation.episodes": 2, "evaluation.video": False},
    "vae-mnist": {"data.name": "digits", "trainer.max_epochs": 1},
    "cnn-mnist": {"data.name": "digits", "trainer.max_epochs": 1},
}
KEYS = {"name", "project", "method", "metric", "run_cap", "command", "parameters"}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def values(parameter: dict[str, Any]) -> list[Any]:
    """All values of a parameter, or its bounds."""
    if "value" in parameter:
        return [parameter["value"]]
    return list(parameter["values"]) if "values" in parameter else [parameter["min"], parameter["max"]]


def words(path: Path, assignment: dict[str, Any]) -> list[str]:
    """The command line that `wandb agent` makes, from `lab` on."""
    made = create_sweep_command_args({"args": {name: {"value": value} for name, value in assignment.items()}})
    parts = create_sweep_command(list(read(path)["command"]))
    line = [word for part in parts for word in (made["args"] if part == "${args}" else [part])]
    assert line[:3] == ["${env}", "lab", "run"]
    return line[2:]


def assignments(path: Path) -> Iterator[dict[str, Any]]:
    """The first values of all parameters together, then each other value once."""
    parameters = {name: values(parameter) for name, parameter in read(path)["parameters"].items()}
    first = {name: given[0] for name, given in parameters.items()}
    yield first
    for name, given in parameters.items():
        for value in given[1:]:
            yield {**first, name: value}


def test_all_sweeps_are_found() -> None:
    assert len(FILES) == 3
    assert all(path.stem in shipped() for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_wandb_understands_each_file(path: Path) -> None:
    sweep = read(path)
    assert path.read_text().startswith(f"# wandb sweep configs/sweeps/{path.name}\n# ")
    assert set(sweep) <= KEYS
    assert sweep["name"] == path.stem
    assert sweep["command"] == ["${env}", "lab", "run", path.stem, "${args}"]
    assert sweep["method"] in ("grid", "random", "bayes")
    assert set(sweep["metric"]) == {"name", "goal"}
    assert sweep["metric"]["goal"] in ("minimize", "maximize")
    assert "test/" not in sweep["metric"]["name"], "settings must not be chosen on test images"
    for name, parameter in sweep["parameters"].items():
        if "distribution" in parameter:
            assert set(parameter) == {"distribution", "min", "max"}, name
            assert parameter["distribution"] in ("uniform", "log_uniform_values")
            assert sweep["method"] != "grid"
            assert isinstance(parameter["min"], float)
            assert isinstance(parameter["max"], float)
            assert parameter["min"] < parameter["max"]
        else:
            assert set(parameter) in ({"value"}, {"values"}), name
            assert len(set(values(parameter))) == len(values(parameter))
    assert sweep["method"] == "grid" or sweep["run_cap"] > 0, "else the sweep never ends"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_experiment_takes_every_value(path: Path) -> None:
    for assignment in assignments(path):
        name, *overrides = words(path, assignment)[1:]
        config = load(name, overrides).as_dict()
        assert {key: setting(config, key) for key in assignment} == assignment


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=pytest.mark.slow if place else ()) for place, path in enumerate(FILES)],
)
def test_trial_joins_its_sweep(server: WandbServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "trial1")
    monkeypatch.setenv("WANDB_PROJECT", "of-the-sweep")
    trial = {**next(assignments(path)), **SMALL[path.stem]}
    assert main([*words(path, trial), "--fast-dev-run"]) == 0
    (run,) = local_runs(Path("runs"))
    assert run.wandb == {
        "mode": "online",
        "problem": None,
        "id": "trial1",
        "sweep": "sweep1",
        "url": f"{server.url}/somebody/of-the-sweep/runs/trial1",
    }
    there = server.runs["trial1"]
    assert isinstance(there.summary[read(path)["metric"]["name"]], int | float)
    assert {key: setting(there.settings, key) for key in trial} == trial, "the resolved config, nested as in its file"


def test_what_a_trial_needs_is_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would be recorded under the trial's id."""
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "trial1")
    with in_no_sweep():
        assert trial({}) == {}
    assert trial({}) == {"id": "trial1", "sweep": "sweep1"}


def test_trial_takes_no_seeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "trial1")
    assert main(["run", "ppo-cartpole", "--seeds", "0-1", "--fast-dev-run"]) == 2
    assert "a trial of a sweep is one run" in capsys.readouterr().err


@pytest.mark.slow
def test_wandb_agent_runs_a_trial(server: WandbServer, tmp_path: Path) -> None:
    """With the real commands: create a sweep from the file, and let its agent run one trial."""
    (path,) = (path for path in FILES if path.stem == "ppo-cartpole")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def wandb(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "wandb", *words], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr

    wandb("sweep", str(path))
    ((name, sweep),) = server.sweeps.items()
    assert yaml.safe_load(sweep["config"])["command"] == read(path)["command"]
    trial = {**next(assignments(path)), **SMALL["ppo-cartpole"]}
    server.trials = [trial]
    wandb("agent", "--count", "1", f"somebody/lab/{name}")
    (run,) = local_runs(tmp_path / "runs")
    (there,) = server.runs.values()
    assert (there.sweep, there.project, there.group, there.name) == (name, "lab", "ppo-cartpole", run.run_id)
    assert run.status == "completed"
    assert there.ended
    assert there.summary["eval/return_mean"] == run.metrics["eval/return_mean"]
    assert there.settings["agent"]["init_args"]["learning_rate"] == trial["agent.learning_rate"]
