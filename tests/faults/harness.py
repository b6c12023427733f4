"""Small experiments of every kind, and ways to kill them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.resuming import resume
from lab.runs.summary import Summary, read_summary
from lab.saving.bitwise import run_differences
from lab.saving.saver import Saver
from lab.system.forking import ForkServer, can_fork

IMAGES = {"data.name": "digits", "checkpoint.steps": 4, "trainer.log_every": 3, "trainer.pictures_every": 2}
NINE = {"data.train_size": 270, "data.batch_size": 30}
"""An epoch has nine batches."""
SMALL = [{"channels": 8, "max_pool": 2}]
BRIEF = {"evaluation.episodes": 3, "evaluation.best_episodes": 2, "evaluation.video": False}
QUICK = {"agent.n_epochs": 4}
LUNAR = {"env.id": "LunarLander-v3", "env.num_envs": 2, "agent.batch_size": 64, "checkpoint.steps": 250}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "ppo": (
        "ppo-cartpole",
        BRIEF | QUICK | {"total_timesteps": 2048, "checkpoint.steps": 500, "evaluation.every": 1000},
    ),
    "dqn": (
        "dqn-cartpole",
        BRIEF
        | {"total_timesteps": 3000, "checkpoint.steps": 500, "evaluation.every": 1000, "agent.buffer_size": 1500}
        | {"agent.gradient_steps": 16},
    ),
    "vae": (  # without a judge, which the GAN has
        "vae-mnist",
        IMAGES
        | NINE
        | {"trainer.max_epochs": 3, "model.encoder.hidden": [32], "model.nll_samples": 5, "model.fid_samples": None},
    ),
    "gan": (
        "gan-mnist",
        IMAGES | NINE | {"trainer.max_epochs": 2, "model.fid_samples": 128, "model.encoder.stages": SMALL},
    ),
    "accumulating": (  # an epoch has 36 batches, so its last step has one; the run ends inside the second epoch
        "cnn-mnist",
        IMAGES
        | {"trainer.accumulate": 5, "trainer.max_steps": 13, "trainer.statistics_every": 3, "data.batch_size": 32}
        | {"trainer.ema.decay": 0.9, "trainer.pictures_every_steps": 5, "model.encoder.stages": SMALL},
    ),
    "choosing": (  # stops early, and judges averaged weights of the best epoch
        "cnn-mnist",
        IMAGES
        | NINE
        | {"trainer.max_epochs": 30, "trainer.ema.decay": 0.5, "trainer.ema.every": 2, "trainer.optimizer.lr": 0.05}
        | {"trainer.early_stopping.metric": "val/loss", "trainer.early_stopping.patience": 2}
        | {"trainer.keep_best.metric": "val/f1", "trainer.keep_best.mode": "max"}
        | {"model.encoder.stages": SMALL, "trainer.weight_decay_on": "weights", "model.encoder_rate": 0.5},
    ),
    "classifier": ("cnn-mnist", IMAGES | NINE | {"trainer.max_epochs": 3, "model.encoder.stages": SMALL}),
    "replay": ("ppo-cartpole", BRIEF | QUICK | LUNAR | {"total_timesteps": 1024, "evaluation.every": 700}),
    "boundary": (
        "dqn-cartpole",
        BRIEF
        | {"env.resume": "boundary", "total_timesteps": 11000, "agent.train_freq": 512, "agent.gradient_steps": 4},
    ),
    "workers": (
        "ppo-cartpole",
        BRIEF
        | QUICK
        | {"env.vectorization": "async", "env.num_envs": 2, "agent.batch_size": 64}
        | {"total_timesteps": 768, "checkpoint.steps": 200, "evaluation.every": 500},
    ),
    "normalised": (
        "ppo-acrobot",
        BRIEF
        | QUICK
        | {"env.num_envs": 2, "agent.n_steps": 64, "agent.batch_size": 64}
        | {"total_timesteps": 1024, "checkpoint.steps": 250, "evaluation.every": 700},
    ),
    "arrays": (  # Gymnasium's environments as functions of arrays
        "ppo-pendulum",
        BRIEF
        | QUICK
        | {"env.vectorization": "native", "agent.n_steps": 32, "agent.batch_size": 64}
        | {"total_timesteps": 1024, "checkpoint.steps": 250, "evaluation.every": 700},
    ),
    "prioritized": (
        "dqn-cartpole",
        BRIEF
        | {"agent.prioritized_alpha": 0.6, "agent.dueling": True, "agent.normalize_observations": True}
        | {"agent.gradient_steps": 8, "agent.buffer_size": 1500, "agent.encoder.hidden": [32]}
        | {"total_timesteps": 3000, "checkpoint.steps": 500, "evaluation.every": 1000},
    ),
    "solved": (
        "ppo-cartpole-fast",
        BRIEF
        | {"evaluation.stop_at": 5.0, "evaluation.every": 6144, "agent.encoder.hidden": [8]}
        | {"total_timesteps": 20_000, "checkpoint.steps": 512},
    ),
    "recurrent": (
        "ppo-cartpole-masked",
        BRIEF
        | {"env.num_envs": 4, "agent.n_steps": 32, "agent.batch_size": 64, "agent.n_epochs": 2}
        | {"agent.encoder.width": 16, "total_timesteps": 1024, "checkpoint.steps": 250, "evaluation.every": 700},
    ),
}
SLOW = pytest.mark.slow
"""`make faults` runs these cases, `make test` does not."""

FIVE = ("ppo", "dqn", "vae", "gan", "classifier")

JUDGE = "import generative.judges.classifier; generative.judges.classifier.STEPS = 5"
"""For child processes: the same as the fixture `small_judge` in this one."""


def settings(kind: str) -> tuple[str, dict[str, Any]]:
    name, overrides = KINDS[kind]
    return name, overrides | {"device": "cpu", "threads": 1}


def words(kind: str, **more: Any) -> list[str]:
    """Return name and settings of a kind as words of the command line."""
    name, overrides = settings(kind)
    return [name, *(f"--{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in (overrides | more).items())]


class Killed(BaseException):
    """Stands for SIGKILL within one process: no code of the run handles it."""


@contextmanager
def killing(*counts: int) -> Iterator[list[int]]:
    """Raise Killed after each of these numbers of safe points in turn. Yields the numbers that are left."""
    left, seen, real = list(counts), itertools.count(1), Saver.safe_point

    def safe_point(self: Saver, *args: Any, **kwargs: Any) -> None:
        nonlocal seen
        real(self, *args, **kwargs)
        if left and next(seen) == left[0]:
            left.pop(0)
            seen = itertools.count(1)
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Saver, "safe_point", safe_point)
        yield left


def run_killed(kind: str, *counts: int, **more: Any) -> Path:
    """Start a run and kill it after `counts[0]` safe points; then resume and kill it for each further count."""
    name, overrides = settings(kind)
    folders: list[Path] = []
    with killing(*counts) as left:
        with pytest.raises(Killed):
            lab.run(name, overrides | more, runs_dir="killed", announce=lambda run: folders.append(run.dir))
        while left:
            with pytest.raises(Killed):
                resume(folders[0])
    record = read_summary(folders[0])
    record.status = "running"  # as a SIGKILL leaves it
    record.write()
    return folders[0]


def run_undisturbed(kind: str, **more: Any) -> Summary:
    name, overrides = settings(kind)
    return lab.run(name, overrides | more, runs_dir="undisturbed")


KEPT = tempfile.TemporaryDirectory(prefix="lab-tests-runs-")


@cache
def _kept(kind: str, counts: tuple[int, ...], more: str) -> Path:
    """Make such a run once for all tests of this process; return its folder."""
    changed = json.loads(more)
    with chdir(tempfile.mkdtemp(dir=KEPT.name)):
        folder = run_killed(kind, *counts, **changed) if counts else run_undisturbed(kind, **changed).dir
        return folder.absolute()


def copy_of_undisturbed(kind: str, **more: Any) -> Summary:
    """The same as `run_undisturbed`, made once and copied here: for tests that change nothing before it."""
    folder = _kept(kind, (), json.dumps(more))
    copy = Path("undisturbed", folder.parent.name, folder.name).absolute()
    return read_summary(Path(shutil.copytree(folder, copy)))


def copy_of_killed(kind: str, *counts: int, **more: Any) -> Path:
    """The same as `run_killed`, made once and copied here: for tests that change nothing before it."""
    folder = _kept(kind, counts, json.dumps(more))
    return Path(shutil.copytree(folder, Path("killed", folder.parent.name, folder.name)))


def differences(a: Path, b: Path) -> list[str]:
    return list(run_differences(a, b))


class Started:
    """A forked `lab`, with its output: as much of `subprocess.Popen` as the tests use."""

    def __init__(self, words: Sequence[str], environment: dict[str, str]) -> None:
        pipes = [os.pipe() for _ in range(2)]
        self.stdout, self.stderr = (open(read, encoding="utf-8") for read, _ in pipes)  # noqa: SIM115
        with open(os.devnull, "rb") as nothing:
            streams = nothing.fileno(), pipes[0][1], pipes[1][1]
            self.process = shared_server().start(
                ("tests.support.forked", "lab_after_prelude"), words, streams, environment
            )
        for _, write in pipes:
            os.close(write)
        self.pid, self.poll, self.wait = self.process.pid, self.process.poll, self.process.wait
        self.kill, self.send_signal = self.process.kill, self.process.send_signal

    @property
    def returncode(self) -> int | None:
        return self.process.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what was written to both streams since they were read last."""
        read: dict[str, str] = {}
        streams = {"out": self.stdout, "err": self.stderr}
        threads = [
            threading.Thread(target=lambda name=name, stream=stream: read.update({name: stream.read()}))
            for name, stream in streams.items()
            if not stream.closed
        ]
        for thread in threads:
            thread.start()
        self.wait(timeout)
        for thread in threads:
            thread.join()
        for stream in streams.values():
            stream.close()
        return read.get("out", ""), read.get("err", "")


@cache
def shared_server() -> ForkServer:
    """Return what forks processes for all tests of this process, with which it ends."""
    return ForkServer("cnn-mnist")


def lab_process(arguments: Sequence[str], prelude: str = "", **options: Any) -> Any:
    """Start `lab` with these words in a process of its own, which first executes `prelude`: a `Started`, or a
    `subprocess.Popen` with `options`."""
    if can_fork() and options.keys() <= {"env", "start_new_session"}:  # a forked one begins a session anyway
        environment = {**options.get("env", os.environ), "OMP_NUM_THREADS": "1"}
        return Started([prelude, *arguments], environment)
    # Background jobs of a shell ignore SIGINT, and nohup ignores SIGHUP. Restore the usual handlers.
    usual = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    usual += "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    script = f"{usual}{prelude}\nfrom lab.cli.main import entry\nif __name__ == '__main__':\n    entry()\n"
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **({"env": {**os.environ, "OMP_NUM_THREADS": "1"}} | options),
    )


def lab_command(arguments: Sequence[str], prelude: str = "", **options: Any) -> tuple[int, str]:
    """Run such a process to its end; return its exit code and its output on both streams."""
    process = lab_process(arguments, prelude, **options)
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    return process.returncode, out + err


def wait_for(condition: Any, process: Any, seconds: float = 120) -> None:
    """Wait until a condition holds while a process runs.

    A run's folder is renamed when it is complete, so a search may meet a name that is gone: it is searched again.
    """
    deadline = time.monotonic() + seconds
    while True:
        with suppress(FileNotFoundError):
            if condition():
                return
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def checkpoints(folder: str | Path) -> list[Path]:
    """Return the rolling checkpoints of all runs under a folder, oldest first."""
    return sorted(path for path in Path(folder).rglob("step-*") if path.is_dir() and path.suffix != ".tmp")


def kill(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
