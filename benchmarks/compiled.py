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
UNCOMPILED = ("not compiled:", "none of this agent's operations can be compiled", "no program could be compiled")
"""What `lab compile` says where some or all programs are missing."""


@contextmanager
def without_programs() -> Iterator[Mapping[str, str]]:
    """Yield the variables of processes that find no programs."""
    with tempfile.TemporaryDirectory() as empty:
        yield {**os.environ, "XDG_CACHE_HOME": empty}


@contextmanager
def with_programs(name: str, *words: str) -> Iterator[Mapping[str, str]]:
    """Compile the programs of an experiment, print how long that took, and yield the variables of processes that find
    them. Raises ConfigError where some or all cannot be compiled: its processes would run as without them."""
    if (why := obstacle()) is not None:
        raise ConfigError(why)
    with without_programs() as variables:
        started = time.perf_counter()
        command = [sys.executable, "-m", "lab.cli", "compile", name, "--threads=1", "--seconds=0.1", *words]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        require_compiled(done.stdout + done.stderr)
        done.check_returncode()
        print(f"  lab compile {name}: {time.perf_counter() - started:.0f} s, once for all runs", flush=True)
        yield variables


def require_compiled(said: str) -> None:
    """Raise ConfigError where `lab compile` said that some or all programs could not be compiled."""
    for line in said.splitlines():
        if any(words in line for words in UNCOMPILED):
            raise ConfigError(line)
