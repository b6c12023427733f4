"""A run that was killed and resumed ends bitwise like one that was not."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.cli.main import main
from lab.errors import CheckpointError
from lab.evaluation import evaluate
from lab.resuming import resume
from lab.saving import verify as verification
from lab.saving.saver import rolling
from lab.training.loop.saving import Saving
from tests.faults.harness import FIVE, KINDS, SLOW, copy_of_undisturbed, differences, run_killed, run_undisturbed, words

OTHERS = ("/dev/shm", "/var/tmp")  # noqa: S108  # on Linux, the first is a file system of its own

LONGER: dict[str, dict[str, Any]] = {
    "ppo": {"total_timesteps": 30_000, "checkpoint.steps": 1000, "evaluation.every": 5000},
    "dqn": {"total_timesteps": 10_000, "checkpoint.steps": 500, "agent.buffer_size": 4000},
    "vae": {"trainer.max_epochs": 60, "checkpoint.steps": 15, "model.encoder.hidden": [512]},
    "gan": {"trainer.max_epochs": 12, "checkpoint.steps": 6},
    "classifier": {"trainer.max_epochs": 20, "checkpoint.steps": 10},
}


OFTEN = ("ppo", "choosing")
"""Kinds that `make test` kills; the others keep no state that these, the tests below, tests/house/test_configs.py or
tests/agents/core/test_state.py do not cover."""


@pytest.mark.fault(1, 26)
@pytest.mark.parametrize("kind", [pytest.param(k, marks=() if k in OFTEN else SLOW) for k in KINDS if k != "boundary"])
def test_killed_five_times_is_exact(kind: str) -> None:
    """Kills come at safe points. Some come before the session has saved any progress."""
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
def test_killed_after_the_last_row_of_statistics_is_exact() -> None:
    """The resumed run has no row of its own: it draws the gradients of the last one before its checkpoint."""
    undisturbed = copy_of_undisturbed("accumulating")
    resumed = resume(run_killed("accumulating", 12))
    assert resumed.resume["checkpoint"] == 13
    assert any(path.name.startswith("layer_gradients") for path in (resumed.dir / "media").iterdir())
    assert differences(undisturbed.dir, resumed.dir) == []


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
    """`lab verify` as a user runs it: in processes of their own, killed anywhere between start and end."""
    assert main(["verify", *words(kind, **LONGER[kind]), "--kills", "50"]) == 0
    assert re.match(r"EXACT after 50 kills in \d+ run", capfd.readouterr().out)


@pytest.mark.fault(1)
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in FIVE])
def test_twenty_random_kills(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *words(kind), "--kills", "20"]) == 0
    assert re.match(r"EXACT after 20 kills in \d+ run", capfd.readouterr().out)


@pytest.mark.fault(1)
def test_verify_prints_exact(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "ppo-cartpole", "--fast-dev-run", "--kills", "2", "--runs-dir", "runs"]) == 0
    assert capfd.readouterr().out == "EXACT after 2 kills in 1 run\n"
    assert list(Path("runs").iterdir()) == [], "exact runs are not kept"


@pytest.mark.fault(1)
@pytest.mark.slow
def test_verify_prints_undecided(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_checkpoint", lambda folder: None)
    assert main(["verify", "ppo-cartpole", "--fast-dev-run", "--kills", "1", "--runs-dir", "runs"]) == 1
    assert capfd.readouterr().out.startswith("UNDECIDED: none of 1 kills fell after a checkpoint")


@pytest.mark.fault(1)
@pytest.mark.slow
def test_verify_finds_needed_artifacts(capfd: pytest.CaptureFixture[str]) -> None:
    digits = ["--data.name=digits", "--device=cpu", "--threads=1", "--fast-dev-run", "--runs-dir", "runs"]
    assert main(["run", "vae-mnist", *digits]) == 0
    assert main(["verify", "probe-mnist", *digits, "--data.train_size=100", "--kills", "2"]) in (0, 1)
    assert re.search(r"^(EXACT|UNDECIDED)", capfd.readouterr().out, re.MULTILINE)


@pytest.mark.fault(21)
@pytest.mark.parametrize("days", [pytest.param(1, marks=SLOW), -2])
def test_clock_may_jump(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = copy_of_undisturbed("classifier")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + days * 86_400)
    assert differences(undisturbed.dir, resume(run_killed("classifier", 9)).dir) == []


@pytest.mark.fault(6)
@pytest.mark.parametrize("temporary", [None, pytest.param("/nonexistent", marks=SLOW)])
def test_temporary_folder_does_not_matter(
    temporary: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be on another file system than the runs."""
    here = os.stat(tmp_path).st_dev
    others = [one for one in OTHERS if Path(one).is_dir() and os.stat(one).st_dev != here]
    if temporary is None and not others:
        pytest.skip(f"needs {' or '.join(OTHERS)} on another file system")
    temporary = temporary or others[0]
    undisturbed = copy_of_undisturbed("classifier")
    monkeypatch.setenv("TMPDIR", temporary)
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert differences(undisturbed.dir, resume(run_killed("classifier", 6, 3)).dir) == []


@pytest.mark.parametrize("safe_points", [pytest.param(9, marks=SLOW), 18])
def test_early_stopping_resumes_exactly(safe_points: int) -> None:
    """Killed at the end of an epoch, which has nine safe points."""
    more = {
        "trainer.max_epochs": 30,
        "trainer.early_stopping.patience": 1,
        "trainer.optimizer.lr": 1e-9,
        "trainer.early_stopping.metric": "val/accuracy",
        "trainer.early_stopping.mode": "max",
    }
    undisturbed = run_undisturbed("classifier", **more)
    assert differences(undisturbed.dir, resume(run_killed("classifier", safe_points, **more)).dir) == []


@pytest.mark.slow
def test_states_need_no_pickle() -> None:
    for kind in FIVE:
        run = run_undisturbed(kind)
        names = {path.suffix for path in (run.dir / "checkpoints").rglob("*") if path.is_file()}
        assert names <= {".safetensors", ".json"}


def test_saved_state_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file holds the state at the time of saving. Later training does not change it."""
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
