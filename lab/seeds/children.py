"""Runs as children of this process, several at once. Whatever becomes of this process, none of them stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.console.progress import NOTICE, Update

MARK = b"\x1e"
"""Before each line of progress, as JSON. Whatever else a run prints has no such character in it."""

PATIENCE = 60.0  # seconds for children that were asked to end: they save within five, and W&B may want its time
POLL = 0.1  # seconds
TAIL = 12  # lines of a log


How = Literal["ran", "resumed", "there", "elsewhere"]
"""Started anew; gone on with; ended, from before; at work in a process that is none of ours."""


@dataclass
class Child:
    """One seed's run: before, while and after it is at work.

    Args:
        seed: of the run.
        how: it comes about.
        words: of its command; none where there is nothing to do.
        log: file for all it says.
        folder: of the run, once that is known.
        state: it is in.
        code: exit code, in the end.
    """

    seed: int
    how: How
    words: Sequence[str]
    log: Path
    folder: Path | None = None
    state: Literal["waiting", "running", "ended"] = "waiting"
    code: int = 0
    update: Update | None = None
    """How far it is, as far as it told."""
    asked: bool = False
    """Whether it was asked to end."""
    problem: str = ""
    """Why it could not begin."""
    began: float = 0.0
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether it ended here by itself, and not as it should."""
        return self.state == "ended" and bool(self.words) and self.code != 0 and not self.asked

    @property
    def tail(self) -> list[str]:
        """The last lines of what it said."""
        return [*self._lines()[-TAIL:], *([self.problem] if self.problem else [])]

    @property
    def notices(self) -> list[str]:
        """What it said that must not be missed."""
        return [line.removeprefix(NOTICE) for line in self._lines() if line.startswith(NOTICE)]

    def hear(self, line: bytes) -> None:
        """Take a line of its output: progress, or else something for the log."""
        said, mark, told = line.partition(MARK)
        with suppress(ValueError, TypeError):
            if mark:
                message = json.loads(told)
                if "folder" in message:
                    self.folder = Path(message["folder"])
                else:
                    self.update = Update(**message)
        if said.strip():
            with suppress(OSError), self.log.open("ab") as log:
                log.write(said.rstrip(b"\n") + b"\n")

    def _lines(self) -> list[str]:
        with suppress(OSError):
            return self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return []


class Children:
    """Carries out the commands of some children, `jobs` of them at once."""

    def __init__(self, children: Sequence[Child], jobs: int) -> None:
        self.children, self.jobs = children, jobs
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        """Those at work, by seed."""
        self.ears: dict[int, threading.Thread] = {}

    def step(self) -> bool:
        """Take note of those that have ended, begin as many as may be at work; return whether there are any left."""
        self._look()
        for child in self.children:
            if child.state == "waiting" and len(self.processes) < self.jobs:
                self._start(child)
        return any(child.state != "ended" for child in self.children)

    def end(self, signal_number: int, wait: Callable[[], None]) -> None:
        """Pass a signal on to those at work, and give them time to save; `wait` is called while they take it."""
        for child in self.children:
            child.asked = child.seed in self.processes
        for process in self.processes.values():
            with suppress(OSError):
                process.send_signal(signal_number) if os.name == "posix" else process.terminate()
        until = time.monotonic() + PATIENCE
        while self.processes and time.monotonic() < until:
            time.sleep(POLL)
            self._look()
            wait()

    def kill(self) -> None:
        """End those that are still at work, at once."""
        for process in self.processes.values():
            process.kill()
        for seed, process in list(self.processes.items()):
            process.wait()
            self._let_go(seed)

    def _start(self, child: Child) -> None:
        try:
            process = self._process(child)
        except OSError as error:  # no memory, no more processes, a full disk: the others may come through
            child.state, child.code, child.problem = "ended", 1, f"could not be started: {error.strerror}"
            return
        self.processes[child.seed] = process
        child.state, child.began = "running", time.monotonic()
        self.ears[child.seed] = threading.Thread(target=_hear, args=(process, child), daemon=True)
        self.ears[child.seed].start()

    def _process(self, child: Child) -> subprocess.Popen[bytes]:
        with child.log.open("ab") as log:  # to its end, where this process writes as well
            return subprocess.Popen(
                # -P: not the script's folder, where a module is called `config`.
                [sys.executable, "-P", str(Path(__file__).with_name("child.py")), *child.words],
                stdin=subprocess.PIPE,  # never written to: its end is the child's
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C reaches all of a terminal's group: a child is told once, by this process, and saves.
                start_new_session=True,
            )

    def _look(self) -> None:
        for child in self.children:
            process = self.processes.get(child.seed)
            if process is None:
                continue
            child.seconds = time.monotonic() - child.began
            if (code := process.poll()) is not None:
                self._ended(child, code)

    def _ended(self, child: Child, code: int) -> None:
        self._let_go(child.seed)
        child.state, child.code = "ended", code if code >= 0 else 128 - code

    def _let_go(self, seed: int) -> None:
        process = self.processes.pop(seed)
        if process.stdin:
            process.stdin.close()
        self.ears.pop(seed).join(1)  # what it said last; a helper of it that lives on may hold the pipe open


def _hear(process: subprocess.Popen[bytes], child: Child) -> None:
    assert process.stdout is not None
    with process.stdout as pipe, suppress(OSError, ValueError):
        for line in pipe:
            child.hear(line)
