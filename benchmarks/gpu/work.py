"""The steps of `make gpu` that measure: `python -m benchmarks.gpu.work TASK [NAME [SETTING=VALUE ...]]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.plan import REHEARSED, TRAINED, UNJUDGED

TURNS, TURN = 3, 2.0
"""Measurements of a setting, and seconds of each."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.work", description=__doc__)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("name", nargs="?", default="", choices=["", *TRAINED])
    parser.add_argument("settings", nargs="*", metavar="SETTING=VALUE")
    parser.add_argument("--device", required=True)
    parser.add_argument("--figures", type=Path, required=True)
    options = parser.parse_args()
    found = TASKS[options.task](options.name, options.device, [f"--{word}" for word in options.settings])
    if options.device == "cuda":
        memory = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
        found["peak_memory"] = memory
    options.figures.write_text(json.dumps(found))


def about(name: str, device: str, words: Sequence[str]) -> dict[str, Any]:
    """Return what the figures depend on: machine, device, versions."""
    from lab.runs.summary import versions

    found: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "python": platform.python_version(),
        "versions": versions(),
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
    }
    if device == "cuda":
        known = torch.cuda.get_device_properties(0)
        found |= {
            "name": known.name,
            "memory": known.total_memory,
            "capability": f"{known.major}.{known.minor}",
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "driver": _said(["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,power.limit", "--format=csv"]),
        }
    return found | {"line": f"{found.get('name', device)}, torch {torch.__version__}"}


def train(name: str, device: str, words: Sequence[str]) -> dict[str, Any]:
    """Train, evaluate and save, in this process."""
    import lab

    run = lab.run(name, [*settings(name, device), *words])
    return _figures(run) | {"line": f"{run.throughput['value']:,.0f} {run.throughput['unit']}"}  # type: ignore[index]


def resume(name: str, device: str, words: Sequence[str]) -> dict[str, Any]:
    """Train in another process, kill it after its first checkpoint, and go on in this one.

    Raises RuntimeError if the run ended before it was killed.
    """
    from lab.resuming import resume

    folder = Path(os.environ["LAB_RUNS_DIR"], "killed")
    every = max(1, TRAINED[name][0][device] // 8)
    given = [*settings(name, device), f"--checkpoint.steps={every}", *words, "--runs-dir", str(folder)]
    command = [sys.executable, "-m", "lab.cli", "run", name, *given]
    process = subprocess.Popen(command)
    while not (found := sorted(folder.glob("*/*/checkpoints/*/manifest.json"))):
        if process.poll() is not None:
            raise RuntimeError(f"the run ended with {process.returncode} before its first checkpoint")
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError("the run ended before it was killed")
    run = resume(found[0].parents[2])
    if run.resume["sessions"] != 2:
        raise RuntimeError(f"the run had {run.resume['sessions']} sessions instead of 2")
    return _figures(run) | {"resume": run.resume, "line": f"killed after {found[-1].parent.name}"}


def graphs(name: str, device: str, words: Sequence[str]) -> dict[str, Any]:
    """Measure an agent with and without captured updates, in turn. Raises RuntimeError if nothing is captured."""
    rates: dict[str, list[float]] = {"never": [], "always": []}
    captured: dict[str, int] = {}
    for capture in rates:
        rates[capture], captured = _rates([*settings(name, device), f"--agent.capture={capture}", *words], name)
    found = {"steps_per_second": rates, "programs": captured}
    if not all(captured.values()):
        raise RuntimeError(f"not everything was captured and proven: {found}")
    gain = max(rates["always"]) / max(rates["never"])
    return found | {"line": f"{max(rates['always']):,.0f} steps/s, {gain:.2f} times as many as without graphs"}


def settings(name: str, device: str) -> list[str]:
    """Return the settings with which an experiment is trained here, as the command line takes them."""
    from lab.config.files import read
    from lab.config.shipped import shipped

    config = read(shipped()[name])
    lengths, others = TRAINED[name]
    length = "total_timesteps" if "agent" in config else "trainer.max_steps"
    data = config.get("data", {}).get("class_path", "").rpartition(".")[2]
    rehearsed: Mapping[str, Any] = REHEARSED.get(data, {}) if device == "cpu" else {}
    chosen = {**others, **rehearsed, length: lengths[device], "device": device}
    if device == "cpu":
        chosen |= {"threads": 1, **({"model.fid_samples": "null"} if name in UNJUDGED else {})}
    return [f"--{key}={value}" for key, value in chosen.items()]


def _rates(words: Sequence[str], name: str) -> tuple[list[float], dict[str, int]]:
    """Return steps per second in some turns, and how many programs each captured function of the agent has."""
    from lab.configuration import load
    from lab.experiment import RunContext
    from lab.job import prepare
    from lab.tracking import Trackers

    job = prepare(load(name, words), fast_dev_run=False)
    agent = job.experiment.agent  # type: ignore[attr-defined]
    context = RunContext(Path(os.environ["LAB_RUNS_DIR"]), 0, job.device, Trackers([]))
    with job.experiment.trial(context) as turn:
        found = [turn(TURN).rate for _ in range(TURNS)]
    functions = {"choose": agent.choose, "gradient": agent.descent._compute, "optimizer": agent.descent._follow}
    return found, {key: len(one.proven) for key, one in functions.items()}


def _figures(run: Any) -> dict[str, Any]:
    return {
        "status": run.status,
        "device_name": run.device,
        "dataset": run.dataset,
        "throughput": run.throughput,
        "durations": run.durations,
        "metrics": run.metrics,
    }


def _said(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


TASKS = {"about": about, "train": train, "resume": resume, "graphs": graphs}

if __name__ == "__main__":
    main()
