"""Compiled programs for the benchmarks of agents, in a cache folder of their own: what the user has compiled changes no
figure."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from agents.compiled.compilers import obstacle
from lab.errors import ConfigError

TENSORS = "--env.vectorization=tensors"
"""The copies of an environment and the policy as one program."""


@contextmanager
def without_programs() -> Iterator[Mapping[str, str]]:
    """Yield the variables of processes that find no programs."""
    with tempfile.TemporaryDirectory() as empty:
        yield {**os.environ, "XDG_CACHE_HOME": empty}


@contextmanager
def with_programs(name: str, *words: str) -> Iterator[Mapping[str, str]]:
    """Compile the programs of an experiment, print how long that took, and yield the variables of processes that find
    them."""
    if (why := obstacle()) is not None:
        raise ConfigError(why)
    with without_programs() as variables:
        started = time.perf_counter()
        command = [sys.executable, "-m", "lab.cli", "compile", name, "--threads=1", "--seconds=0.1", *words]
        subprocess.run(command, env=variables, check=True, capture_output=True)
        print(f"  lab compile {name}: {time.perf_counter() - started:.0f} s, once for all runs", flush=True)
        yield variables
