"""A run that is asked to end saves itself if it can, and ends within seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.errors import Interrupted
from lab.resuming import resume
from lab.runs.summary import read_summary
from lab.saving.checkpoint import load
from lab.saving.saver import Cadence, Saver
from lab.system.signals import signals_as_exceptions
from tests.faults.harness import SLOW, copy_of_undisturbed, differences, lab_process, run_undisturbed, wait_for, words

SLOWED = """
import time, lab.saving.saver as s
real = s.Saver.safe_point
def slow(*a, **k):
    time.sleep(0.1)
    real(*a, **k)
s.Saver.safe_point = slow
"""
"""Sleeps for a tenth of a second at each safe point, so that a signal arrives during training."""


def has_logged() -> bool:
    return any(path.stat().st_size for path in Path("runs").rglob("metrics.jsonl"))


def has_logged_or_saved() -> bool:
    return has_logged() or any(Path("runs").rglob("step-*"))


def signalled(
    kind: str, *numbers: int, prelude: str = SLOWED, ready: Callable[[], bool] = has_logged, **more: Any
) -> tuple[int, str, Path, float]:
    """Send signals to a run once it has logged a row; return exit code, output, folder and seconds until its end."""
    process = lab_process(["run", *words(kind, **more), "--runs-dir", "runs"], prelude)
    try:
        wait_for(ready, process)
        began = time.monotonic()
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.3)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    (folder,) = Path("runs").glob("*/*")
    return process.returncode, err, folder, time.monotonic() - began


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("vae", "SIGUSR1"),
        pytest.param("ppo", "SIGTERM", marks=SLOW),
        pytest.param("gan", "SIGHUP", marks=SLOW),
        pytest.param("classifier", "SIGUSR1", marks=SLOW),
        pytest.param("dqn", "SIGHUP", marks=SLOW),
    ],
)
def test_signal_saves_exactly(kind: str, name: str) -> None:
    number = getattr(signal, name)
    never: dict[str, Any] = {"checkpoint.steps": 1_000_000}
    more: dict[str, Any] = {"total_timesteps": 6_000} if kind in ("ppo", "dqn") else {"trainer.max_epochs": 6}
    code, err, folder, _ = signalled(kind, number, **never, **more)
    assert code == 128 + number, err
    assert f"{name}: saving, then ending; a second signal ends the run at once" in err
    assert "`lab resume` goes on from the last checkpoint" in err
    assert "Traceback" not in err
    record = read_summary(folder)
    assert record.status == "interrupted"
    assert record.resume.keys() == {"exact", "reason", "sessions", "checkpoint", "steps_after_it"}
    assert record.resume["checkpoint"] > 0
    assert record.resume["steps_after_it"] == 0
    undisturbed = run_undisturbed(kind, **never, **more)
    assert differences(undisturbed.dir, resume(folder).dir) == []


@pytest.mark.fault(3, 25)
def test_closed_terminal_still_saves() -> None:
    """Ctrl-C in `lab run 2>&1 | tee log`: the pipe is closed before the run says that it saves."""
    process = lab_process(["run", *words("ppo", total_timesteps=20_000), "--runs-dir", "runs"], SLOWED)
    try:
        wait_for(has_logged, process)
        assert process.stderr is not None
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 128 + signal.SIGHUP
    finally:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()
    (folder,) = Path("runs").glob("*/*")
    assert read_summary(folder).status == "interrupted"
    assert read_summary(folder).resume["steps_after_it"] == 0


@pytest.mark.fault(3)
def test_group_signal_spares_workers() -> None:
    """A closing terminal signals the whole process group: the run saves itself, and its workers end with it."""
    process = lab_process(["run", *words("workers"), "--runs-dir", "runs"], SLOWED, start_new_session=True)
    try:
        wait_for(has_logged_or_saved, process)
        os.killpg(process.pid, signal.SIGHUP)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGHUP, err
    (folder,) = Path("runs").glob("*/*")
    assert read_summary(folder).resume["steps_after_it"] == 0


@pytest.mark.fault(3)
@pytest.mark.slow
def test_late_safe_point_keeps_checkpoint() -> None:
    prelude = (
        "import time, lab.training.model as m\nfrom pathlib import Path\nreal, n = m.Model.training_step, 0\n"
        "def step(self, *a):\n    global n\n    n += 1\n"
        "    if n == 10:\n        Path('hangs').touch()\n        time.sleep(60)\n"
        "    return real(self, *a)\nm.Model.training_step = step\n"
    )
    code, err, folder, seconds = signalled("vae", signal.SIGTERM, prelude=prelude, ready=Path("hangs").exists)
    assert code == 143, err
    assert 4 < seconds < 12
    record = read_summary(folder)
    assert record.resume["checkpoint"] == 8
    assert record.resume["steps_after_it"] == 1, "one step was done after it, and the next was not finished"
    assert differences(copy_of_undisturbed("vae").dir, resume(folder).dir) == []


@pytest.mark.fault(3)
def test_save_under_way_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for reaching a safe point runs out while the run saves itself."""
    monkeypatch.setattr("lab.system.signals.GRACE", 0.05)

    def slow() -> dict[str, int]:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.2)
        return {"step": 1}

    def save(name: str) -> None:
        with signals_as_exceptions() as stop, stop.deferred():
            getattr(Saver(Path(name, "checkpoints").absolute(), dict, stop, Cadence(1)), name)(1, slow)
            pytest.fail("the run goes on after it has saved itself")

    for name in ("safe_point", "save"):
        with pytest.raises(Interrupted):
            save(name)
        assert load(Path(name, "checkpoints", "step-0000000001").absolute()).state == {"step": 1}


@pytest.mark.fault(3)
@pytest.mark.slow
def test_boundary_saves_at_boundaries() -> None:
    slow = SLOWED.replace("0.1", "0.05")
    code, err, folder, _ = signalled("boundary", signal.SIGTERM, prelude=slow)
    assert code == 143, err
    assert read_summary(folder).resume["checkpoint"] is None
    assert read_summary(folder).resume["steps_after_it"] > 0


@pytest.mark.fault(4)
@pytest.mark.slow
def test_ctrl_c_saves() -> None:
    code, err, folder, _ = signalled("classifier", signal.SIGINT)
    assert code == 130, err
    assert read_summary(folder).status == "interrupted"
    assert read_summary(folder).resume["steps_after_it"] == 0


@pytest.mark.fault(4)
def test_second_ctrl_c_ends() -> None:
    hang = "import time, lab.saving.saver as s\ns.Saver.safe_point = lambda *a, **k: time.sleep(1)\n"
    code, err, folder, seconds = signalled("ppo", signal.SIGINT, signal.SIGINT, prelude=hang)
    assert code == -signal.SIGINT, err  # which a shell reports as 130
    assert seconds < 4
    assert read_summary(folder).status == "running"


@pytest.mark.slow
def test_evaluation_is_interrupted() -> None:
    """Nothing is lost, because training has ended with a checkpoint."""
    prelude = "import time, generative.vae.vae as v\nv.VAE.negative_log_likelihood = lambda self, x: time.sleep(60)"
    process = lab_process(["run", *words("vae"), "--runs-dir", "runs"], prelude)
    try:
        wait_for(lambda: list(Path("runs").rglob("artifacts/encoder/*.json")), process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
    finally:
        process.kill()
        process.communicate()
    (folder,) = Path("runs").glob("*/*")
    assert differences(copy_of_undisturbed("vae").dir, resume(folder).dir) == []


@pytest.mark.fault(25)
@pytest.mark.parametrize("command", ["list", "run ppo-cartpole --fast-dev-run"])
def test_closed_pipe_is_silent(command: str) -> None:
    pipe = f"'{sys.executable}' -m lab.cli {command} | head -0"
    done = subprocess.run(
        ["bash", "-c", pipe], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert "Traceback" not in done.stderr, done.stderr


SESSION = """
import os, signal, threading, time
import lab

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it, and so would lab

def press_stop_twice():
    while not any(os.path.exists(os.path.join(top, "metrics.jsonl")) for top, *_ in os.walk("runs")):
        time.sleep(0.05)
    time.sleep(1)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)

threading.Thread(target=press_stop_twice, daemon=True).start()
more = {"agent.n_steps": 8_192, "agent.batch_size": 8_192, "env.num_envs": 8, "threads": 1}
try:
    lab.run("ppo", more | {"total_timesteps": 50_000_000}, runs_dir="runs")
except KeyboardInterrupt:
    print("the session lives")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


@pytest.mark.fault(3)
def test_python_session_outlives_two_interrupts() -> None:
    """Stop is pressed twice in a rollout of seconds, where nothing can be saved."""
    done = subprocess.run([sys.executable, "-c", SESSION], capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout.strip()) == (0, "the session lives"), done.stderr
    (folder,) = Path("runs").glob("*/*")
    assert read_summary(folder).status == "interrupted"
