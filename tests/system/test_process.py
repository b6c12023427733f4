"""A library call leaves the process as it found it, also when it fails."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lab
from lab.errors import ConfigError, EnvironmentFailedError, Interrupted
from lab.finders.home import find_home
from lab.finders.modules import own_folders
from lab.system.process import process_as_found
from lab.system.signals import ASKED_TO_END, signals_as_exceptions

SMALL: dict[str, Any] = {
    "threads": 1,
    "data.name": "digits",
    "model.encoder.stages": [{"channels": 4, "stride": 4}],
}


def state() -> dict[str, Any]:
    numpy = np.random.get_state(legacy=False)
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "own modules": own_folders(),
        "signals": [signal.getsignal(each) for each in (*ASKED_TO_END, signal.SIGALRM)],
        "python": random.getstate(),
        "numpy": str(numpy),
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "denormals": (torch.tensor([1e-39]) * 0.5).item(),
        "levels": {
            name: logging.getLogger(name).level for name in ("", "pytorch_lightning", "wandb", "lightning_fabric")
        },
        "handlers": list(logging.getLogger().handlers),
        "warnings": [str(one) for one in warnings.filters],
        "hooks": (sys.excepthook, threading.excepthook, sys.exit),
        "torch's": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()),
        "errors": np.geterr(),
        "start": multiprocessing.get_start_method(allow_none=True),
        "umask": os.umask(os.umask(0o22)),
    }


@pytest.fixture
def unusual() -> Any:
    """A process in which nothing is at its default."""
    torch.set_num_threads(2)
    before = logging.getLogger("pytorch_lightning").level
    logging.getLogger("pytorch_lightning").setLevel(17)
    with process_as_found(), warnings.catch_warnings():
        os.environ["WANDB_DIR"], os.environ["SDL_VIDEODRIVER"] = "mine", "mine"
        random.seed(1), np.random.seed(2), torch.manual_seed(3)
        os.umask(os.umask(0o22))
        yield
    logging.getLogger("pytorch_lightning").setLevel(before)


@pytest.mark.parametrize("name", ["ppo-cartpole", "cnn-mnist"])
def test_calls_leave_no_trace(name: str, unusual: None) -> None:
    settings = SMALL if name == "cnn-mnist" else {"threads": 1}
    lab.run(name, settings, fast_dev_run=True)  # imports what it needs: modules may set variables
    before = state()
    run = lab.run(name, settings, fast_dev_run=True)
    lab.evaluate(run.dir)
    lab.load(run.dir)
    lab.resume(run.dir, {"description": "another"}, force=True)
    after = state()
    assert {key for key in before if before[key] != after[key]} == set()


def test_failed_calls_leave_no_trace(unusual: None) -> None:
    before = state()
    with pytest.raises(ConfigError):
        lab.run("ppo-cartpole", {"agent.batch_size": 7, "seed": 5})
    after = state()
    assert {key for key in before if before[key] != after[key]} == set()


def test_interrupted_calls_leave_no_alarm() -> None:
    def mine(*_: Any) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGALRM, mine)
    interrupts = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    try:
        with pytest.raises(Interrupted), signals_as_exceptions() as stop, stop.deferred():
            signal.raise_signal(signal.SIGINT)  # in this thread, whatever other threads there are
        assert signal.getsignal(signal.SIGALRM) is mine
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, interrupts)


def test_own_wandb_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    mine = wandb.init(project="mine", mode="offline", dir=str(Path.cwd()), settings=wandb.Settings(silent=True))
    try:
        before = dict(os.environ)
        lab.run("ppo-cartpole", {"threads": 1}, fast_dev_run=True)
        assert id(wandb.run) == id(mine)
        assert dict(os.environ) == before
        wandb.log({"it": 1})
    finally:
        mine.finish()
        wandb.teardown()


def test_without_a_home_there_is_a_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with process_as_found():
        home = Path.home()
        assert (home.parent, home.stat().st_mode & 0o777) == (tmp_path, 0o700)
    assert "HOME" not in os.environ
    home.chmod(0o777)
    with pytest.raises(EnvironmentFailedError, match="not yours alone; set the variable HOME"):
        find_home()
