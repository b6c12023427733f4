"""Resuming: which run goes on, from which checkpoint, and as which run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.cli.main import main
from lab.errors import ConfigError
from lab.evaluation import evaluate
from lab.resuming import resume
from lab.runs.summary import Summary, read_summary
from lab.saving.checkpoint import load as load_checkpoint
from lab.saving.saver import rolling
from tests.faults.harness import (
    Killed,
    copy_of_killed,
    copy_of_undisturbed,
    differences,
    lab_command,
    run_killed,
    run_undisturbed,
    words,
)


@pytest.mark.parametrize(("kind", "longer"), [("dqn", {"total_timesteps": 4000}), ("vae", {"trainer.max_epochs": 4})])
def test_longer_run_is_a_fork(kind: str, longer: dict[str, Any]) -> None:
    parent = copy_of_undisturbed(kind)
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


def test_newest_unfinished_is_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", "--runs-dir", "killed"]) == 2
    assert "no unfinished run" in capsys.readouterr().err
    first = copy_of_killed("classifier", 5)
    time.sleep(1.1)  # runs are named by the second
    second = run_killed("classifier", 6)
    assert main(["resume", "--runs-dir", "killed"]) == 0
    assert [read_summary(folder).status for folder in (first, second)] == ["running", "completed"]
    assert main(["runs", "--runs-dir", "killed"]) == 0
    assert "killed" in capsys.readouterr().out
    assert main(["resume", "--runs-dir", "killed"]) == 0
    assert read_summary(first).status == "completed"
    assert main(["resume", str(first)]) == 2
    assert "is complete; to train it longer, give a larger --trainer.max_epochs=N" in capsys.readouterr().err


def test_killed_before_first_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    undisturbed = copy_of_undisturbed("vae")
    folder = copy_of_killed("vae", 2)
    assert rolling(folder / "checkpoints") == []
    assert differences(undisturbed.dir, resume(folder).dir) == []
    assert "it starts again in the same folder" in capsys.readouterr().err


def test_resumed_run_claims_nothing_of_its_end() -> None:
    """What an end that failed after the evaluation has written is gone until the run ends again."""
    ended = copy_of_undisturbed("classifier")
    assert ended.artifacts
    assert ended.baselines
    assert ended.throughput
    assert "verdict" in ended.reference
    ended.status, ended.judged = "failed", "the averaged weights"
    ended.write()

    def die(run: Summary) -> None:
        raise Killed

    with pytest.raises(Killed):
        resume(ended.dir, announce=die)
    found = read_summary(ended.dir)
    assert (found.status, found.metrics, found.artifacts, found.judged) == ("running", {}, [], "")
    assert (found.baselines, found.bounds, found.descriptions, found.throughput) == ({}, {}, {}, None)
    assert not {"verdict", "reason"} & {*found.reference, *found.target}
    assert found.reference["value"] == ended.reference["value"]


def test_two_checkpoints_are_kept() -> None:
    run = copy_of_undisturbed("dqn")
    kept = [path.name for path in rolling(run.dir / "checkpoints")]
    assert kept == ["step-0000003072", "step-0000002560"]
    segments = sorted(path.name for path in (run.dir / "checkpoints" / "segments").iterdir())
    assert segments[0].startswith("rows-0000001"), "rows that the buffer no longer holds are deleted"
    sizes = {path.name: path.stat().st_size for path in (run.dir / "checkpoints" / "segments").iterdir()}
    assert len(sizes) >= 3
    assert max(sizes.values()) < 2 * min(sizes.values()), "each segment holds new rows only"


def test_python_resumes_like_command(capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_killed("ppo", 3)
    assert main(["resume", str(folder), "--json"]) == 0
    assert read_summary(folder).status == "completed"
    other = lab.resume(run_killed("ppo", 4))
    assert differences(folder, other.dir) == []


def test_other_number_of_copies_is_refused() -> None:
    parent = copy_of_undisturbed("ppo")
    before = sorted(parent.dir.parent.iterdir())
    copies = len(load_checkpoint(next(parent.dir.glob("checkpoints/step-*"))).state["agent"]["environments"]["rewards"])
    more = {"total_timesteps": 4096, "env.num_envs": 2 * copies}
    with pytest.raises(ConfigError, match=f"env.num_envs must stay {copies} .*, received {2 * copies}"):
        resume(parent.dir, more, force=True)
    assert sorted(parent.dir.parent.iterdir()) == before


def test_lack_of_memory_is_said() -> None:
    """A limit on the memory of the process stands for a machine with too little; it is set when training begins."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs Linux, to know how much memory is in use")
    little = """
import resource
from lab.training.training import Training
train = Training.train
def with_little(self, context):
    most = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 4_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return train(self, context)
Training.train = with_little
"""
    wide = {"model.encoder.stages": [{"channels": 32, "max_pool": 2}], "trainer.max_epochs": 1}
    undisturbed = run_undisturbed("classifier", **wide)
    code, said = lab_command(["run", *words("classifier", **wide), "--runs-dir", "runs"], little)
    assert code == 1, said
    assert "lab: error: the run needs more memory than there is" in said
    assert "Traceback" not in said
    (folder,) = Path("runs").glob("*/*")
    assert read_summary(folder).status == "failed"
    assert differences(undisturbed.dir, resume(folder).dir) == []
