"""Start-up: commands that answer at once against bare Python, and a short run of an agent against importing torch."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from statistics import median

from benchmarks.compiled import without_programs
from benchmarks.pairs import alternate

QUICK = (["list"], ["--help"], ["runs"])
SHORT = ["run", "ppo-cartpole", "--total_timesteps=256"]


def measure(pairs: int) -> None:
    for words in QUICK:
        alternate(f"lab {words[0]} / bare python", partial(lab, words), partial(python, "pass"), 4 * pairs)
    with tempfile.TemporaryDirectory() as runs, without_programs() as variables:
        short = [*SHORT, "--runs-dir", runs]
        alternate("lab run ppo-cartpole of 256 steps / import torch", partial(lab, short, variables), torch, pairs)
        waited = median(first_word(short, variables) for _ in range(pairs))
        print(f"seconds to the first word of lab run: {waited:.2f}")


def lab(words: list[str], variables: Mapping[str, str] | None = None) -> float:
    """Seconds that a command takes from the shell."""
    return _seconds([sys.executable, "-m", "lab.cli", *words], variables)


def python(script: str) -> float:
    """Seconds that a script takes."""
    return _seconds([sys.executable, "-c", script])


def torch() -> float:
    """Seconds that Python takes to import torch."""
    return python("import torch")


def first_word(words: list[str], variables: Mapping[str, str]) -> float:
    """Seconds until a command says something."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "lab.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=variables) as process:
        assert process.stderr
        process.stderr.readline()
        waited = time.perf_counter() - started
        process.stderr.read()
    return waited


def _seconds(command: list[str], variables: Mapping[str, str] | None = None) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=variables)
    return time.perf_counter() - started
