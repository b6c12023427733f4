"""Start-up of the commands that must answer at once, against bare Python."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from benchmarks.pairs import alternate


def measure(pairs: int) -> None:
    for words in (["list"], ["--help"]):
        alternate(f"lab {words[0]} / bare python", partial(lab, words), bare, 4 * pairs)


def lab(words: list[str]) -> float:
    return _seconds([sys.executable, "-m", "lab.cli", *words])


def bare() -> float:
    return _seconds([sys.executable, "-c", "pass"])


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started
