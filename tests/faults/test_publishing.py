"""Checkpoints on a full disk, killed while being written, damaged later, or used by two processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lab.cli.main import main
from lab.errors import CheckpointError, ConfigError
from lab.resuming import resume
from lab.runs.folder import at_work, locked
from lab.runs.summary import read_summary
from lab.saving import checkpoint
from lab.saving.saver import Cadence, Rows, Saver, newest_valid, position, rolling
from lab.system.signals import Stop
from tests.faults.harness import (
    SLOW,
    checkpoints,
    copy_of_killed,
    copy_of_undisturbed,
    differences,
    kill,
    lab_command,
    lab_process,
    run_undisturbed,
    wait_for,
    words,
)

KILLED_AT_STEP = """
import os, sys, signal
from pathlib import Path
import torch
from lab.saving.saver import Cadence, Rows, Saver
from lab.system.signals import Stop

step, calls = int(sys.argv[1]), 0

def dying(real):
    def call(*args, **kwargs):
        global calls
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return real(*args, **kwargs)
    return call

saver = Saver(Path("checkpoints"), lambda: {}, Stop(), Cadence(1))
def save(at):
    rows = Rows(2 * at, {"x": torch.arange(2 * at, 2 * at + 2)}, 0)
    saver.save(at, lambda: {"weights": torch.full((1000,), float(at))}, lambda: rows)
for at in range(3):
    save(at)
os.fsync, os.replace, os.rename, os.mkdir, os.unlink, os.rmdir = map(
    dying, (os.fsync, os.replace, os.rename, os.mkdir, os.unlink, os.rmdir)
)
save(3)
print(calls)
"""


@pytest.mark.fault(2)
def test_killed_while_publishing() -> None:
    """Killed at each system call of the fourth checkpoint: the newest valid one is then the third or the fourth."""
    found = set()
    for step in range(100):
        shutil.rmtree("checkpoints", ignore_errors=True)
        script = [sys.executable, "-c", KILLED_AT_STEP, str(step)] if step == 0 else None
        done = _forked(step) if script is None else subprocess.run(script, check=False).returncode
        problems: list[str] = []
        newest = newest_valid(Path("checkpoints"), problems)
        assert newest is not None
        assert problems == []
        at = int(newest.folder.name[-1])
        found.add(at)
        assert newest.state["weights"].tolist() == [float(at)] * 1000
        rows = torch.cat([segment.load()["x"] for segment in newest.segments])
        assert rows.tolist() == list(range(2 * at + 2))
        if done == 0:
            break
    assert step > 12, "the system calls were not counted"
    assert found == {2, 3}


def _forked(step: int) -> int:
    """Run the script in a fork of this process, because starting a hundred interpreters takes minutes."""
    child = os.fork()
    if child == 0:
        sys.argv = ["", str(step)]
        with open(os.devnull, "w") as sys.stdout:
            exec(KILLED_AT_STEP, {})  # noqa: S102
        os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.fault(5)
def test_full_disk_keeps_last_checkpoint() -> None:
    """A limit on the size of files stands for a full disk: the segments of the replay fit, the state does not."""
    undisturbed = copy_of_undisturbed("vae")
    folder = copy_of_killed("vae", 5)
    size = checkpoints(folder)[0].joinpath("state.safetensors").stat().st_size
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2}, {size // 2}))"
    before = [path.name for path in checkpoints(folder)]
    code, said = lab_command(["resume", str(folder)], limit)
    assert code == 1, said
    assert "cannot write the checkpoint" in said
    assert "File too large; the last checkpoint, at step" in said
    assert "Traceback" not in said
    assert [path.name for path in checkpoints(folder)] == before
    assert read_summary(folder).status == "failed"
    assert differences(undisturbed.dir, resume(folder).dir) == []


@pytest.mark.fault(7)
def test_unwritable_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert main(["run", *words("vae"), "--runs-dir", "file"]) == 2
    assert "cannot write to the runs folder" in capsys.readouterr().err
    folder = copy_of_killed("vae", 5)
    capsys.readouterr()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.access(folder, os.W_OK):  # root may write anywhere: then a folder stands where the lock should be
        folder.joinpath(".lock").unlink(missing_ok=True)
        folder.joinpath(".lock").mkdir()
    assert main(["resume", str(folder)]) == 2
    err = capsys.readouterr().err
    assert "cannot write to the run folder" in err
    assert "training" not in err


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"truncated": content[:-3], "empty": b"", "bit flipped": flipped}[how])


@pytest.mark.fault(8)
@pytest.mark.parametrize("how", ["bit flipped", *(pytest.param(how, marks=SLOW) for how in ("truncated", "empty"))])
@pytest.mark.parametrize(
    "name", ["state.safetensors", *(pytest.param(name, marks=SLOW) for name in ("meta.json", "manifest.json"))]
)
def test_damaged_checkpoint_is_skipped(
    how: str, name: str, capsys: pytest.CaptureFixture[str], undamaged: tuple[Path, Path]
) -> None:
    undisturbed, folder = undamaged
    damage(rolling(folder / "checkpoints")[0] / name, how)
    resumed = resume(folder)
    err = capsys.readouterr().err
    assert "using step-0000000008 instead" in err
    assert differences(undisturbed, resumed.dir) == []


@pytest.fixture
def undamaged(tmp_path: Path) -> tuple[Path, Path]:
    """An undisturbed run and a killed one with checkpoints at steps 8 and 12."""
    undisturbed, folder = copy_of_undisturbed("classifier").dir, copy_of_killed("classifier", 13)
    assert [path.name for path in rolling(folder / "checkpoints")] == ["step-0000000012", "step-0000000008"]
    return undisturbed, folder


@pytest.mark.fault(8)
def test_damaged_replay_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    undisturbed, folder = copy_of_undisturbed("dqn"), copy_of_killed("dqn", 6)
    damage(sorted((folder / "checkpoints" / "segments").iterdir())[-1], "bit flipped")
    assert differences(undisturbed.dir, resume(folder).dir) == []
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.fault(9)
def test_no_valid_checkpoint_is_refused(capsys: pytest.CaptureFixture[str], undamaged: tuple[Path, Path]) -> None:
    _, folder = undamaged
    for path in rolling(folder / "checkpoints"):
        damage(path / "state.safetensors", "truncated")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["resume", str(folder)]) == 5
    assert "none of the 2 checkpoints" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.fault(9)
def test_shortened_journal_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of_killed("vae", 9)
    (folder / "metrics.jsonl").write_bytes(b"")
    assert main(["resume", str(folder)]) == 5
    assert "has lost rows that were written before step-0000000008" in capsys.readouterr().err


def test_copied_checkpoint_is_ignored() -> None:
    undisturbed, folder = copy_of_undisturbed("classifier"), copy_of_killed("classifier", 9)
    newest = rolling(folder / "checkpoints")[0]
    shutil.copytree(newest, newest.with_name(newest.name + ".bak"))
    assert differences(undisturbed.dir, resume(folder).dir) == []
    assert newest.with_name(newest.name + ".bak").exists()


def test_leftovers_are_removed() -> None:
    """A kill inside a write leaves a temporary file beside what is written; not every one of these is written again."""
    undisturbed, folder = copy_of_undisturbed("classifier"), copy_of_killed("classifier", 9)
    for name in (".config.yaml.part", ".summary.json.part"):
        (folder / name).write_bytes(b"half of it")
    (folder / "checkpoints" / "final.tmp").mkdir()
    resumed = resume(folder)
    assert differences(undisturbed.dir, resumed.dir) == []
    left = [{path.relative_to(run.dir) for path in run.dir.rglob("*")} for run in (undisturbed, resumed)]
    assert left[0] == left[1]


def test_missing_checkpoints_are_noticed() -> None:
    run = run_undisturbed("vae", **{"trainer.max_epochs": 1})
    for path in rolling(run.dir / "checkpoints"):
        shutil.rmtree(path)
    with pytest.raises(CheckpointError, match="are missing in"):
        resume(run.dir, {"trainer.max_epochs": 2})


@pytest.mark.fault(20)
def test_one_process_per_folder(capsys: pytest.CaptureFixture[str]) -> None:
    process = lab_process(["run", *words("vae", **{"trainer.max_epochs": 5000}), "--runs-dir", "runs"])
    try:
        wait_for(lambda: checkpoints("runs"), process)
        (folder,) = Path("runs").glob("*/*")
        assert at_work(folder)
        assert main(["resume", str(folder)]) == 2
        assert "another process works in" in capsys.readouterr().err
        assert main(["resume", "--runs-dir", "runs"]) == 2
        assert "no unfinished run" in capsys.readouterr().err
    finally:
        kill(process)
    assert not at_work(folder), "the lock is released when its process ends"
    with locked(folder), pytest.raises(ConfigError, match="another process"), locked(folder):
        pass


@pytest.mark.fault(24)
def test_unusual_folder_names_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "läufe 100% {x} 'y'"
    place.mkdir()
    monkeypatch.chdir(place)
    Path("süß %s.yaml").write_text("extends: cnn-mnist\n")
    changed = ["süß %s.yaml", *words("classifier")[1:], "--runs-dir", "r ü%d"]
    process = lab_process(["run", *changed])
    wait_for(lambda: checkpoints("r ü%d"), process)
    kill(process)
    assert main(["resume", "--runs-dir", "r ü%d"]) == 0
    (folder,) = Path("r ü%d").glob("süß %s/*")
    assert main(["eval", str(folder)]) == 0
    assert main(["resume", str(folder), "--trainer.max_epochs=4"]) == 0


def test_saver_keeps_two_checkpoints(tmp_path: Path) -> None:
    saver = Saver(tmp_path, dict, Stop(), Cadence(10))
    for at in range(1, 65):
        rows = Rows(max(0, at - 1) // 10 * 10, {"x": torch.arange(max(0, at - 1) // 10 * 10, at)}, max(0, at - 25))
        saver.safe_point(at, dict, lambda rows=rows: rows)  # type: ignore[misc]
    assert [path.name for path in rolling(tmp_path)] == ["step-0000000060", "step-0000000050"]
    loaded = checkpoint.load(tmp_path / "step-0000000050")
    assert {i for s in loaded.segments for i in s.load()["x"].tolist()} >= set(range(25, 50))
    assert len(list((tmp_path / "segments").iterdir())) == 4
    manifest = json.loads((tmp_path / "step-0000000060" / "manifest.json").read_text())
    assert all(set(s["print"]) == {"size", "sha256"} for s in manifest["segments"])


@pytest.mark.parametrize("neutral", [True, False])
def test_slow_run_is_saved_by_the_clock(neutral: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not where saving would change the rest of the run."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    saver = Saver(tmp_path, dict, Stop(), Cadence(1000, neutral=neutral))
    for at in range(1, 7):
        now += 120
        saver.safe_point(at, dict)
    assert [position(path) for path in rolling(tmp_path)] == ([6, 3] if neutral else [])
