"""Programs that are compiled beside a long training, for the runs after it.

The process that compiles them has a low priority, and ends with the run. The run itself goes on without them: its
numbers would depend on when the compiler was done.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import TYPE_CHECKING

import torch

import lab.cli
from agents.acceleration.captured import Captured
from agents.acceleration.descent import Descent
from agents.acceleration.programs import Program
from agents.compiled.compilers import obstacle
from lab.console.notices import notice
from lab.console.wording import count
from lab.system.forking import RUNS_AFTER, Process, start_process

if TYPE_CHECKING:
    from agents.core.agent import Agent

SECONDS = 40.0
"""Seconds that compiling one program takes."""
WORTH = 3.0
"""How many times these seconds later runs must save."""
TRIED = 20.0
"""Seconds of training between two looks at what they would save."""
PATIENCE = 10.0
"""Seconds that the process is given to end."""
SAVED = 2.0
"""What a program saves for each operation in it, as a multiple of the time of the smallest operation: starting it, and
going through memory once more. A guess on the safe side: ppo-cartpole trains at least twice as fast with them."""


@contextmanager
def compiled_aside(agent: Agent, config: Path, start: int, total: int) -> Iterator[None]:
    """Compile programs of an agent that trains inside the block, once it is clear that later runs save more time than
    that takes.

    Args:
        agent: that trains.
        config: file with its config.
        start: steps that it has done before.
        total: steps of a whole training.
    """
    given = os.environ.get(RUNS_AFTER, "1")
    later = int(given) if given.isdigit() and hasattr(os, "killpg") else 0
    if not later or agent.capture != "auto" or agent.device.type != "cpu" or obstacle() is not None:
        yield
        return
    threads = torch.get_num_threads()  # another thread may have another number
    ended, started = threading.Event(), list[tuple[Process, int]]()

    def consider() -> None:
        while not ended.wait(TRIED):  # an agent may play at random for long before it learns
            programs, saved = savings(agent)
            steps = agent.num_timesteps - start
            if programs and steps > 0 and saved * total / steps * later >= WORTH * SECONDS * programs:
                notice(
                    f"{count(programs, 'program')} for later runs like this one "
                    f"{'is' if programs == 1 else 'are'} compiled beside it, at low priority; this run goes on without"
                )
                with suppress(OSError):  # no memory, too many processes
                    started.append(_start(config, threads))
                return

    thread = threading.Thread(target=consider, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for process, lifeline in started:
            _end(process)
            os.close(lifeline)


def savings(agent: Agent) -> tuple[int, float]:
    """Return how many programs could run in the place of recorded operations, and how many seconds they would have
    saved so far, as far as the number of operations tells."""
    programs, operations = 0, 0.0
    for one in list(vars(agent).values()):
        saved = [_operations(part) for part in (one.captured if isinstance(one, Descent) else [one])]
        programs += bool(sum(saved))  # one program does all that a descent does
        operations += sum(saved)
    return programs, SAVED * operations * _smallest() if programs else 0.0


def _operations(one: object) -> float:
    """Return how many recorded operations have been repeated."""
    known = list(one.proven.values()) if isinstance(one, Captured) else []
    found = [len(program.calls) for program in known if isinstance(program, Program)]
    return mean(found) * one.calls if isinstance(one, Captured) and found else 0.0


def _smallest() -> float:
    """Return the seconds that the smallest operation of a recorded program takes."""
    x, y = torch.zeros(1), torch.zeros(1)
    add = torch.ops.aten.add.out._op
    spent = []
    with torch.no_grad():
        for _ in range(20):  # the training takes turns with this thread, in some of them
            begun = perf_counter()
            for _ in range(50):
                add(x, x, out=y)
            spent.append((perf_counter() - begun) / 50)
    return min(spent)


def _start(config: Path, threads: int) -> tuple[Process, int]:
    """Return the process that compiles, and the end of a pipe: it ends when that is closed, as when this one ends."""
    words = ["compile", str(config), "--aside", f"--threads={threads}"]
    held, lifeline = os.pipe()
    try:
        with open(os.devnull, "w") as nothing:
            streams = (held, nothing.fileno(), nothing.fileno())
            program = Path(lab.cli.__file__).with_name("__main__.py")
            process = start_process(None, ("lab.cli.main", "entry"), program, words, streams)
    except OSError:
        os.close(lifeline)
        raise
    finally:
        os.close(held)
    return process, lifeline


def _end(process: Process) -> None:
    """End the process and the C++ compiler in it, which both remove what they were about to write."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
