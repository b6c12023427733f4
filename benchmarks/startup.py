"""Start-up: commands that answer at once against bare Python, and a short run of an agent against importing torch."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from statistics import median

from benchmarks.pairs import alternate

QUICK = (["list"], ["--help"], ["runs"])
SHORT = ["run", "ppo-cartpole", "--total_timesteps=256"]


def measure(pairs: int) -> None:
    for words in QUICK:
        alternate(f"lab {words[0]} / bare python", partial(lab, words), partial(python, "pass"), 4 * pairs)
    with tempfile.TemporaryDirectory() as runs:
        short = [*SHORT, "--runs-dir", runs]
        alternate("lab run ppo-cartpole of 256 steps / import torch", partial(lab, short), torch, pairs)
        print(f"seconds to the first word of lab run: {median(first_word(short) for _ in range(pairs)):.2f}")


def lab(words: list[str]) -> float:
    """Seconds that a command takes from the shell."""
    return _seconds([sys.executable, "-m", "lab.cli", *words])


def python(script: str) -> float:
    """Seconds that a script takes."""
    return _seconds([sys.executable, "-c", script])


def torch() -> float:
    """Seconds that Python takes to import torch."""
    return python("import torch")


def first_word(words: list[str]) -> float:
    """Seconds until a command says something."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "lab.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ) as process:
        assert process.stderr
        process.stderr.readline()
        waited = time.perf_counter() - started
        process.stderr.read()
    return waited


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started
