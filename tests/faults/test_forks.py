"""A run that goes on with other settings trains with those that it announces, and is unfinished until it has."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.cli.main import main
from lab.errors import ConfigError
from lab.resuming import resume
from lab.runs import folder as run_folder
from lab.runs.folder import FORK, at_work
from lab.runs.summary import Summary, read_summary
from lab.saving.checkpoint import load
from lab.saving.saver import rolling
from tests.faults.harness import Killed, copy_of_undisturbed, killing, lab_command, run_undisturbed

CONSTANT = {"trainer.schedule.kind": "constant", "trainer.schedule.warmup": 0.0, "trainer.log_every": 1}


@pytest.fixture
def parent() -> Summary:
    return copy_of_undisturbed("classifier", **CONSTANT)


def optimizer_of(run: Summary) -> dict[str, Any]:
    newest = load(rolling(run.dir / "checkpoints")[0])
    (state,) = newest.state["lightning"]["optimizer_states"]
    return state  # type: ignore[no-any-return]


def rates(run: Summary, after: int) -> set[float]:
    rows = [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
    return {row["train/learning_rate"] for row in rows if row.get("global_step", 0) > after and "train/loss" in row}


def test_announced_settings_train(parent: Summary) -> None:
    done = parent.resume["checkpoint"]
    changes = {"trainer.optimizer.lr": 1e-5, "trainer.optimizer.weight_decay": 0.5, "trainer.max_epochs": 4}
    fork = resume(parent.dir, changes, force=True)
    assert rates(fork, done) == {1e-5}
    assert {group["weight_decay"] for group in optimizer_of(fork)["param_groups"]} == {0.5}
    assert optimizer_of(fork)["state"][0]["step"] > optimizer_of(parent)["state"][0]["step"], "its averages went on"


def test_killed_fork_trains_with_its_settings(parent: Summary) -> None:
    """The fork's first checkpoint holds the parent's optimizer; a second resume finds no changes to announce."""
    with killing(1), pytest.raises(Killed):
        resume(parent.dir, {"trainer.optimizer.lr": 1e-5, "trainer.max_epochs": 4}, force=True)
    (fork,) = [path for path in parent.dir.parent.iterdir() if path != parent.dir]
    assert rates(resume(fork), parent.resume["checkpoint"]) == {1e-5}


def test_schedule_is_of_the_new_length(parent: Summary) -> None:
    done = parent.resume["checkpoint"]
    more = {"trainer.max_epochs": 6, "trainer.schedule.kind": "linear", "trainer.optimizer.lr": 1.0e-3}
    fork = resume(parent.dir, more, force=True)
    assert max(rates(fork, done)) == pytest.approx(0.5e-3, rel=0.05), "half of it is done"


def test_another_optimizer_begins_anew(parent: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    fork = resume(parent.dir, {"trainer.optimizer": "SGD", "trainer.max_epochs": 4}, force=True)
    assert "SGD begins without averages" in capsys.readouterr().err
    assert "momentum" in optimizer_of(fork)["param_groups"][0]


def test_amsgrad_begins_anew(parent: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    fork = resume(parent.dir, {"trainer.optimizer.amsgrad": True, "trainer.max_epochs": 4}, force=True)
    assert "begins without averages" in capsys.readouterr().err
    assert "max_exp_avg_sq" in optimizer_of(fork)["state"][0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data.batch_size": 64}, "an epoch of the checkpoint has .* data.batch_size"),
        ({"model.encoder.stages": [{"channels": 4, "max_pool": 2}]}, "the checkpoint does not fit the settings: for "),
    ],
)
def test_what_does_not_fit_is_refused(parent: Summary, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        resume(parent.dir, {"trainer.max_epochs": 9, **change}, force=True)
    assert list(parent.dir.parent.iterdir()) == [parent.dir]


@pytest.mark.parametrize(
    "change",
    [
        {"agent.normalize_rewards": True},
        pytest.param({"agent.normalize_observations": True}, marks=pytest.mark.slow),
        {"agent.prioritized_alpha": 0.6},
        pytest.param({"agent.average": 0.0}, marks=pytest.mark.slow),
        {"agent.buffer_size": 3000},
    ],
)
def test_what_does_not_fit_an_agent_is_refused(change: dict[str, Any]) -> None:
    parent = copy_of_undisturbed("dqn")
    with pytest.raises(ConfigError, match=r"does not fit the settings|can be made smaller, not larger"):
        resume(parent.dir, {"total_timesteps": 4000, **change}, force=True)
    assert list(parent.dir.parent.iterdir()) == [parent.dir]


PENDULUM = {
    "env.num_envs": 2,
    "agent.n_steps": 64,
    "agent.batch_size": 64,
    "agent.n_epochs": 1,
    "total_timesteps": 256,
    "evaluation.episodes": 1,
    "evaluation.best_episodes": 1,
    "evaluation.video": False,
    "env.vectorization": "sync",
    "evaluation.every": 100_000,
    "reference": None,
    "threads": 1,
}


def test_environment_has_its_new_settings() -> None:
    """Pendulum keeps its gravity among the attributes that a checkpoint restores."""
    parent = lab.run("ppo-pendulum", {**PENDULUM, "env.kwargs.g": 9.0})
    fork = resume(parent.dir, {"total_timesteps": 512, "env.kwargs.g": 3.0}, force=True)
    newest = load(rolling(fork.dir / "checkpoints")[0])
    assert {copy["native"]["own"]["g"] for copy in newest.state["agent"]["environments"]["copies"]} == {3.0}


def test_evaluations_come_as_announced() -> None:
    parent = lab.run("ppo-pendulum", PENDULUM)
    fork = resume(parent.dir, {"total_timesteps": 1024, "evaluation.every": 256}, force=True)
    rows = [json.loads(line) for line in (fork.dir / "metrics.jsonl").read_text().splitlines()]
    at = [row["env_steps"] for row in rows if "eval/return_mean" in row]
    assert at == [256, 512, 768, 1024]


def test_fork_is_unfinished_from_the_start(parent: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kill(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr("lab.resuming.cut_back", die)
        with pytest.raises(Kill):
            resume(parent.dir, {"trainer.max_epochs": 4})
    (fork,) = [path for path in parent.dir.parent.iterdir() if path != parent.dir]
    record = read_summary(fork)
    assert (record.status, record.metrics, record.baselines, record.throughput) == ("running", {}, {}, None)
    assert "verdict" not in record.reference
    assert main(["resume", "--runs-dir", "undisturbed"]) == 0, "it is the newest unfinished run"
    assert read_summary(fork).status == "completed"


def test_fork_frees_its_parent(parent: Summary) -> None:
    found: list[tuple[bool, bool]] = []

    def look(fork: Summary) -> None:
        found.append((at_work(parent.dir), at_work(fork.dir)))
        raise Killed

    with pytest.raises(Killed):
        resume(parent.dir, {"trainer.max_epochs": 4}, announce=look)
    assert found == [(False, True)]


def test_fork_lies_in_a_folder_of_runs(parent: Summary) -> None:
    """Beside its parent, also where a link names that; in the folder of all runs where the parent lies alone."""
    Path("latest").symlink_to(parent.dir)
    shutil.copytree(parent.dir, "received/alone")
    places: list[Path] = []

    def look(fork: Summary) -> None:
        places.append(fork.dir.parent)
        raise Killed

    for name in ("latest", "received/alone"):
        with pytest.raises(Killed):
            resume(Path(name), {"trainer.max_epochs": 4}, runs_dir="mine", announce=look)
    assert places == [parent.dir.parent, Path("mine/cnn-mnist").absolute()]
    assert [path.name for path in Path("mine").iterdir()] == ["cnn-mnist"]
    assert [path.name for path in Path("received").iterdir()] == ["alone"]


def test_half_a_fork_is_no_run(parent: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill before the fork's folder has its name leaves nothing among the runs. The next resume clears it away."""

    def die(staging: Path, folder: Path) -> None:
        os.kill(os.getpid(), 9)

    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(run_folder, "publish_folder", die)
            resume(parent.dir, {"trainer.max_epochs": 4})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert list(parent.dir.parent.iterdir()) == [parent.dir]
    assert (parent.dir / FORK).is_dir()
    fork = resume(parent.dir, {"trainer.max_epochs": 4})
    assert fork.status == "completed"
    assert not (parent.dir / FORK).exists()


@pytest.mark.parametrize(
    "what", [pytest.param("media/*.png", marks=pytest.mark.slow), "checkpoints/step-*/state.safetensors"]
)
def test_full_disk_leaves_no_fork(parent: Summary, what: str) -> None:
    """A limit on the size of files stands for a disk that is full when the fork takes this over."""
    most = max(path.stat().st_size for path in parent.dir.glob(what)) - 1
    before = {path: path.read_bytes() for path in parent.dir.rglob("*") if path.is_file()}
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))"
    code, said = lab_command(["resume", str(parent.dir), "--trainer.max_epochs=4"], limit)
    assert code == 1, said
    assert f"cannot write to {parent.dir}: File too large" in said
    assert "Traceback" not in said
    assert list(parent.dir.parent.iterdir()) == [parent.dir]
    assert {path: path.read_bytes() for path in parent.dir.rglob("*") if path.is_file()} == before


def test_run_is_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of a completed run has been forced to the disk with its last content, and each name in its folders
    after it came to mean that file."""
    forced: dict[int, int] = {}
    names: dict[int, dict[str, int]] = {}
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            names[found.st_ino] = inodes(descriptor)
        else:
            forced[found.st_ino] = found.st_size

    def inodes(folder: Path | int) -> dict[str, int]:
        with os.scandir(folder) as entries:
            return {entry.name: entry.inode() for entry in entries if entry.name != ".lock"}

    monkeypatch.setattr(os, "fsync", fsync)
    parent = run_undisturbed("classifier")
    fork = resume(parent.dir, {"trainer.max_epochs": 4})
    for run in (parent, fork):
        files = [path for path in run.dir.rglob("*") if path.is_file() and path.name != ".lock"]
        assert len(files) > 10
        for path in files:
            assert forced.get(path.stat().st_ino) == path.stat().st_size, path
        folders = [path for path in run.dir.rglob("*") if path.is_dir()]
        for path in (run.dir.parent.parent, run.dir.parent, run.dir, *folders):
            assert inodes(path).items() <= names.get(path.stat().st_ino, {}).items(), path
