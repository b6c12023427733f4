"""A run that was killed and resumed ends bitwise like one that never was; and where it does not, that is found."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents.core.state
import agents.experiment
import lab
from lab.cli.main import main
from lab.data.batches import TensorBatches
from lab.errors import CheckpointError
from lab.evaluation import evaluate
from lab.resuming import resume
from lab.runs.summary import read_summary
from lab.saving import verify as verification
from lab.saving.saver import rolling
from lab.training.saving import Saving
from tests.faults.harness import (
    FIVE,
    JUDGE,
    KINDS,
    SLOW,
    differences,
    run_killed,
    run_undisturbed,
    settings,
    words,
)

SHARED_MEMORY = "/dev/shm"  # noqa: S108  # a file system of its own, on Linux

LONGER: dict[str, dict[str, Any]] = {
    "ppo": {"total_timesteps": 30_000, "checkpoint.steps": 1000, "evaluation.every": 5000},
    "dqn": {"total_timesteps": 10_000, "checkpoint.steps": 500, "agent.buffer_size": 4000},
    "vae": {"trainer.max_epochs": 60, "checkpoint.steps": 15, "model.encoder.hidden": [512]},
    "gan": {"trainer.max_epochs": 12, "checkpoint.steps": 6},
    "classifier": {"trainer.max_epochs": 20, "checkpoint.steps": 10},
}


@pytest.mark.fault(1, 26)
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "boundary"])
def test_killed_five_times_and_exact(kind: str) -> None:
    """At safe points, the first ones of a session included: some kills come before any progress was saved."""
    undisturbed = run_undisturbed(kind)
    folder = run_killed(kind, *((2, 1, 3, 1, 4) if KINDS[kind][1]["checkpoint.steps"] == 4 else (3, 1, 3, 1, 2)))
    resumed = resume(folder)
    assert resumed.resume["sessions"] == 6
    assert resumed.resume["exact"] is True
    assert differences(undisturbed.dir, resumed.dir) == []
    assert resumed.run_id == folder.name
    assert resumed.metrics == undisturbed.metrics
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert evaluate(folder).metrics == resumed.metrics
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.fault(1)
def test_boundary_reset_is_exact() -> None:
    undisturbed = run_undisturbed("boundary")
    resumed = resume(run_killed("boundary", 21))
    assert resumed.resume == {"exact": True, "reason": None, "sessions": 2, "checkpoint": 11264, "steps_after_it": 0}
    assert differences(undisturbed.dir, resumed.dir) == []


@pytest.mark.fault(1)
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", FIVE)
def test_fifty_random_kills(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """As a user would: `lab verify` with processes of their own, killed anywhere between their start and their end."""
    assert main(["verify", *words(kind, **LONGER[kind]), "--kills", "50"]) == 0
    assert re.match(r"EXACT after 50 kills in \d+ run", capfd.readouterr().out)


@pytest.mark.fault(1)
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in FIVE])
def test_twenty_random_kills_of_the_others(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *words(kind), "--kills", "20"]) == 0
    assert re.match(r"EXACT after 20 kills in \d+ run", capfd.readouterr().out)


@pytest.mark.fault(1)
def test_verify_kills_processes_and_prints_exact(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "ppo-cartpole", "--fast-dev-run", "--kills", "2", "--runs-dir", "runs"]) == 0
    assert capfd.readouterr().out == "EXACT after 2 kills in 1 run\n"
    assert list(Path("runs").iterdir()) == [], "what was exact is not kept"


@pytest.mark.fault(1)
def test_verify_says_so_where_nothing_was_resumed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_checkpoint", lambda folder: None)
    assert main(["verify", "ppo-cartpole", "--fast-dev-run", "--kills", "1", "--runs-dir", "runs"]) == 1
    assert capfd.readouterr().out.startswith("UNDECIDED: none of 1 kills fell after a checkpoint")


@pytest.mark.fault(27)
@pytest.mark.slow
def test_verify_prints_the_first_difference_and_exits_1(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resumed processes leave the generators out: a plug-in on their path sees to it."""
    Path("sitecustomize.py").write_text(
        "import sys\n"
        "if 'resume' in sys.argv:\n"
        "    import agents.core.state\n"
        "    agents.core.state.load_randomness = lambda agent, state: None\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), *sys.path]))
    monkeypatch.setattr(verification, "ANYWHERE", 0.0)
    code = main(["verify", *words("ppo", total_timesteps=20_000), "--kills", "3", "--runs-dir", "runs"])
    out = capfd.readouterr().out
    assert code == 1, out
    assert re.match(r"DIFFERENT after \d kills: run 1, metrics.jsonl row \d+, ", out)
    assert "both runs are kept in" in out


# --- Negative controls: one thing is left out, and the comparison must fail. ---


def without_generators(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agents.experiment, "load_randomness", lambda agent, state: None)


def without_replay_position(patch: pytest.MonkeyPatch) -> None:
    real = agents.core.state.load_replay

    def load(buffer: Any, segments: Any, total: int) -> None:
        real(buffer, segments, total)
        buffer.pos = 0

    patch.setattr(agents.experiment, "load_replay", load)


def without_moments(patch: pytest.MonkeyPatch) -> None:
    real = torch.optim.Adam.load_state_dict

    def load(self: Any, state: Any) -> None:
        real(self, {**state, "state": {}})

    patch.setattr(torch.optim.Adam, "load_state_dict", load)


def without_position_in_the_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TensorBatches, "load_state_dict", lambda self, state: None)


def without_environments(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agents.environments.resumable.set_native_state", lambda env, state: None)


def without_an_action(patch: pytest.MonkeyPatch) -> None:
    from agents.environments.resumable import Resumable

    real = Resumable.state

    def state(self: Any) -> Any:
        found = real(self)
        return found | {"actions": None if found["actions"] is None else found["actions"][:-1]}

    patch.setattr(Resumable, "state", state)


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        ("ppo", without_generators),
        pytest.param("ppo", without_moments, marks=SLOW),
        pytest.param("ppo", without_environments, marks=SLOW),
        pytest.param("dqn", without_generators, marks=SLOW),
        ("dqn", without_replay_position),
        ("replay", without_an_action),
        ("vae", without_position_in_the_epoch),
        pytest.param("vae", without_moments, marks=SLOW),
        pytest.param("gan", without_position_in_the_epoch, marks=SLOW),
        ("gan", without_moments),
        ("classifier", without_position_in_the_epoch),
    ],
)
def test_a_hidden_difference_is_found(kind: str, left_out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = run_undisturbed(kind)
    folder = run_killed(kind, 7 if "checkpoint.steps" in KINDS[kind][1] and kind not in ("ppo", "replay") else 5)
    left_out(monkeypatch)
    assert differences(undisturbed.dir, resume(folder).dir) != []


def test_one_bit_of_one_file_is_a_difference() -> None:
    one, other = run_undisturbed("vae"), run_undisturbed("vae")
    assert differences(one.dir, other.dir) == []
    picture = next((other.dir / "media").glob("samples-*.png"))
    content = picture.read_bytes()
    picture.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert differences(one.dir, other.dir) == [f"media/{picture.name}: contents differ"]
    picture.unlink()
    (other.dir / "artifacts" / "encoder" / "encoder.json").write_text("{}")
    assert len(differences(one.dir, other.dir)) == 2


# --- What must make no difference. ---


@pytest.mark.fault(21)
def test_the_clock_may_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = run_undisturbed("classifier")
    now = time.time
    for days in (1, -2):
        monkeypatch.setattr(time, "time", lambda days=days: now() + days * 86_400)
        assert differences(undisturbed.dir, resume(run_killed("classifier", 9)).dir) == []


@pytest.mark.fault(6)
@pytest.mark.parametrize("temporary", [SHARED_MEMORY, "/nonexistent"])
def test_temporary_files_may_be_elsewhere_or_nowhere(
    temporary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Path(temporary).is_dir() and os.stat(temporary).st_dev != os.stat(tmp_path).st_dev
    if temporary == SHARED_MEMORY and not there:
        pytest.skip("needs /dev/shm on another file system")
    monkeypatch.setenv("TMPDIR", temporary)
    monkeypatch.setattr(tempfile, "tempdir", None)
    undisturbed = run_undisturbed("classifier")
    assert differences(undisturbed.dir, resume(run_killed("classifier", 6, 3)).dir) == []


def test_early_stopping_stops_where_it_would_have() -> None:
    more = {
        "trainer.max_epochs": 30,
        "trainer.early_stopping.patience": 1,
        "trainer.optimizer.lr": 1e-9,
        "trainer.early_stopping.monitor": "val/accuracy",
        "trainer.early_stopping.mode": "max",
    }
    undisturbed = run_undisturbed("classifier", **more)
    for safe_points in (9, 18):  # an epoch has nine
        assert differences(undisturbed.dir, resume(run_killed("classifier", safe_points, **more)).dir) == []


# --- Going on with another length, config or checkpoint. ---


@pytest.mark.parametrize(("kind", "longer"), [("dqn", {"total_timesteps": 4000}), ("vae", {"trainer.max_epochs": 4})])
def test_a_finished_run_is_extended_as_a_fork(kind: str, longer: dict[str, Any]) -> None:
    parent = run_undisturbed(kind)
    before = {path: path.read_bytes() for path in parent.dir.rglob("*") if path.is_file()}
    fork = resume(parent.dir, longer)
    assert {path: path.read_bytes() for path in parent.dir.rglob("*") if path.is_file()} == before
    assert fork.run_id != parent.run_id
    assert fork.parent == {"run_id": parent.run_id, "checkpoint": parent.resume["checkpoint"]}
    assert fork.resume["checkpoint"] > parent.resume["checkpoint"]
    rows = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (parent.dir, fork.dir)]
    assert rows[1][: len(rows[0])] == rows[0]
    assert len(rows[1]) > len(rows[0])
    assert evaluate(fork.dir).metrics == fork.metrics


def test_the_newest_unfinished_run_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", "--runs-dir", "killed"]) == 2
    assert "no unfinished run" in capsys.readouterr().err
    first = run_killed("classifier", 5)
    time.sleep(1.1)  # runs are named by the second
    second = run_killed("classifier", 6)
    assert main(["resume", "--runs-dir", "killed"]) == 0
    assert [read_summary(folder).status for folder in (first, second)] == ["running", "completed"]
    assert main(["runs", "--runs-dir", "killed"]) == 0
    assert "killed" in capsys.readouterr().out
    assert main(["resume", "--runs-dir", "killed"]) == 0
    assert read_summary(first).status == "completed"
    assert main(["resume", str(first)]) == 2
    assert "is complete; to train longer give it more: --trainer.max_epochs=N" in capsys.readouterr().err


def test_a_run_killed_before_its_first_checkpoint_begins_again(capsys: pytest.CaptureFixture[str]) -> None:
    undisturbed = run_undisturbed("vae")
    folder = run_killed("vae", 2)
    assert rolling(folder / "checkpoints") == []
    assert differences(undisturbed.dir, resume(folder).dir) == []
    assert "it begins again, in the same folder" in capsys.readouterr().err


def test_saving_is_appointed_by_steps_and_two_checkpoints_are_kept() -> None:
    run = run_undisturbed("dqn")
    kept = [path.name for path in rolling(run.dir / "checkpoints")]
    assert kept == ["step-0000003072", "step-0000002560"]
    segments = sorted(path.name for path in (run.dir / "checkpoints" / "segments").iterdir())
    assert segments[0].startswith("rows-0000001"), "rows that the buffer has forgotten are gone"
    sizes = {path.name: path.stat().st_size for path in (run.dir / "checkpoints" / "segments").iterdir()}
    assert len(sizes) >= 3
    assert max(sizes.values()) < 2 * min(sizes.values()), "each holds only what was new"


def test_python_and_the_command_line_resume_alike(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_killed("ppo", 3)
    assert main(["resume", str(folder), "--json"]) == 0
    assert read_summary(folder).status == "completed"
    other = lab.resume(run_killed("ppo", 4))
    assert differences(folder, other.dir) == []


@pytest.mark.slow
def test_saved_states_hold_nothing_that_needs_pickle() -> None:
    for kind in FIVE:
        run = run_undisturbed(kind)
        names = {path.suffix for path in (run.dir / "checkpoints").rglob("*") if path.is_file()}
        assert names <= {".safetensors", ".json"}


def test_a_safe_point_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is read when it is saved: what training changes later does not reach the file."""
    seen: list[dict[str, Any]] = []
    real = Saving.state

    def state(self: Saving, trainer: Any) -> dict[str, Any]:
        seen.append(real(self, trainer))
        return seen[-1]

    monkeypatch.setattr(Saving, "state", state)
    folder = run_killed("vae", 5)
    from lab.saving import checkpoint

    loaded = checkpoint.load(rolling(folder / "checkpoints")[0]).state
    assert loaded["step"] == 4
    weights = loaded["lightning"]["state_dict"]
    assert any(not torch.equal(weights[n], v) for n, v in seen[-1]["lightning"]["state_dict"].items())
    assert np.isfinite(sum(v.sum().item() for v in weights.values()))
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)


def test_kinds_are_small_versions_of_shipped_experiments() -> None:
    from lab.config.files import read
    from lab.config.shipped import shipped

    def trained(name: str) -> str:
        config = read(shipped()[name])
        return str((config.get("model") or config["agent"])["class_path"])

    assert {trained(settings(kind)[0]) for kind in FIVE} == {trained(name) for name in shipped()}
    assert JUDGE.endswith("= 5")
