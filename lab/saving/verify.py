"""Checks that a run which is killed and resumed many times ends bitwise identical to an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.runs.summary import Summary, local_runs
from lab.saving.bitwise import run_differences
from lab.saving.checkpoint import META, MOST_META
from lab.saving.saver import rolling
from lab.saving.tensors import MOST_VALUES
from lab.system.forking import RUNS_AFTER, ForkServer, Process, can_fork, start_process
from lab.system.opening import read_json

ANYWHERE = 0.25  # share of kills at any moment of a process, startup included; the others come in or after training
MOST_WAITS = 3
"""Runs that may be waited for until they save a checkpoint; a run need not save one."""
POLL = 0.01  # seconds
PROGRAM = Path(__file__).parents[1] / "cli" / "__main__.py"
"""The `lab` command."""


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Args:
        differences: between the undisturbed run and the killed ones; empty means EXACT.
        kills: number of processes ended by SIGKILL.
        resumed: how many of these had saved a checkpoint, which the next process resumed from.
        runs: number of runs that were killed and resumed to their end.
        undisturbed: summary of the undisturbed run.
        folder: of all these runs; None if it has been removed.
    """

    differences: list[str]
    kills: int
    resumed: int
    runs: int
    undisturbed: Summary
    folder: Path | None


class VerificationError(LabError):
    """A run failed without being killed, so there is nothing to compare."""


def verify(
    name: str,
    words: Sequence[str] = (),
    *,
    kills: int,
    folder: Path,
    fast_dev_run: bool = False,
    trust: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Verification:
    """Run an experiment once undisturbed, then kill and resume it `kills` times, in as many runs as that needs.

    Each command is a process of its own. `folder` contains only these runs. It is removed unless something differs or
    fails. Raises VerificationError if a run fails without being killed.
    """
    with ForkServer(name, words) if can_fork() else nullcontext() as server:
        lab = _Lab(folder / "said.txt", server)
        try:
            more = [*(["--fast-dev-run"] if fast_dev_run else []), *(["--trust"] if trust else [])]
            found = _verify(lab, name, [*words, *more], kills=kills, folder=folder, say=say)
        except VerificationError:
            raise
        except BaseException:  # interrupted: leave neither a process nor a folder behind
            lab.kill()
            shutil.rmtree(folder)
            raise
    if not found.differences:
        shutil.rmtree(folder)
    return found


def _verify(
    lab: _Lab,
    name: str,
    words: Sequence[str],
    *,
    kills: int,
    folder: Path,
    say: Callable[[str], None],
) -> Verification:
    moments = random.Random(kills)
    start = ["run", name, *words]
    say(f"{name}: one run undisturbed")
    alone = lab([*start, "--runs-dir", str(folder / "undisturbed")])
    began = time.monotonic()  # the imports of the process that forks it are not part of its startup
    lab.finish(alone)
    (undisturbed,) = local_runs(folder / "undisturbed")
    start += [f"--threads={undisturbed.threads}"]  # as many as were chosen for it
    trained = sum(undisturbed.durations[stage] for stage in ("train", "evaluate"))
    startup = max(0.1, time.monotonic() - began - trained)
    done = runs = resumed = 0
    differences: list[str] = []
    while (done < kills or not runs) and not differences:
        runs += 1
        disturbed = folder / f"killed-{runs}"
        while done < kills and not _complete(disturbed):
            process = lab(["resume", str(_only(disturbed))] if _only(disturbed) else _begin(start, disturbed))
            left = 2 * max(0.0, trained - _trained(disturbed)) / (kills - done + 1)
            # Half of the kills may miss every checkpoint, where a run is slower than the undisturbed one was.
            if done >= kills // 2 and not resumed and runs <= MOST_WAITS:
                ended = _saved(process, disturbed)
            elif moments.random() < ANYWHERE:
                ended = _ends_within(process, moments.uniform(0, startup + left))
            else:
                ended = _training(process, disturbed) or _ends_within(process, moments.uniform(0, left))
            if ended:
                lab.finish(process)
                continue
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            done += 1
            checkpoint = _checkpoint(disturbed)
            resumed += checkpoint is not None
            say(f"kill {done} of {kills}: run {runs}, checkpoint {checkpoint or 'none yet'}")
        if not _complete(disturbed):
            lab.finish(lab(["resume", str(_only(disturbed))] if _only(disturbed) else _begin(start, disturbed)))
        (again,) = local_runs(disturbed)
        differences = [f"run {runs}, {line}" for line in run_differences(undisturbed.dir, again.dir)]
    return Verification(differences, done, resumed, runs, undisturbed, folder if differences else None)


@dataclass(frozen=True)
class _Lab:
    """Starts lab commands as processes of their own. Their messages go to a file."""

    said: Path
    server: ForkServer | None
    started: list[Process] = field(default_factory=list)

    def __call__(self, words: Sequence[str]) -> Process:
        self.said.parent.mkdir(parents=True, exist_ok=True)
        with self.said.open("ab") as said, open(os.devnull, "r+b") as nothing:
            environment = {**os.environ, "WANDB_MODE": "disabled", RUNS_AFTER: "0"}
            streams = (nothing.fileno(), nothing.fileno(), said.fileno())
            process = start_process(self.server, ("lab.cli.main", "entry"), PROGRAM, words, streams, environment)
        self.started.append(process)
        return process

    def kill(self) -> None:
        """Kill all processes that are still running."""
        for process in self.started:
            process.kill()
            process.wait()

    def finish(self, process: Process) -> None:
        """Wait until a process ends. Raises VerificationError if it fails."""
        if code := process.wait():
            said = " ".join(self.said.read_text(errors="replace").split())[-500:]
            raise VerificationError(f"the run failed by itself with exit code {code} (see {self.said.parent}): {said}")


def _begin(start: Sequence[str], folder: Path) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed before it had a summary
    return [*start, "--runs-dir", str(folder)]


def _ends_within(process: Process, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _training(process: Process, folder: Path) -> bool:
    """Wait until the run has begun to train. Return whether the process has ended instead."""
    before = {(run.run_id, run.resume.get("sessions")) for run in local_runs(folder) if "setup" in run.durations}
    while process.poll() is None:
        for run in local_runs(folder):
            if "setup" in run.durations and (run.run_id, run.resume.get("sessions")) not in before:
                return False
        time.sleep(POLL)
    return True


def _saved(process: Process, folder: Path) -> bool:
    """Wait until the run has saved a checkpoint. Return whether the process has ended instead."""
    while process.poll() is None:
        if _checkpoint(folder):
            return False
        time.sleep(POLL)
    return True


def _only(folder: Path) -> Path | None:
    return next((run.dir for run in local_runs(folder)), None)


def _complete(folder: Path) -> bool:
    return any(run.status == "completed" for run in local_runs(folder))


def _checkpoint(folder: Path) -> str | None:
    run = _only(folder)
    found = rolling(run / "checkpoints") if run else []
    return found[0].name if found else None


def _trained(folder: Path) -> float:
    """Return the seconds of training recorded in the newest checkpoint."""
    run = _only(folder)
    try:
        newest = rolling(run / "checkpoints")[0] if run else None
        if newest is None:
            return 0.0
        return float(read_json(newest / META, newest, MOST_META, MOST_VALUES)["meta"]["train_seconds"])
    except (OSError, ValueError, KeyError, IndexError):
        return 0.0
