"""Runs as child processes, several at once. None of them outlives this process, however it ends."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lab.console.notices import NOTICE
from lab.console.progress import Update
from lab.seeds.vary import named
from lab.system.forking import RUNS_AFTER, ForkServer, Process, start_process

MARK = b"\x1e"
"""Begins each line of progress, which is JSON. Nothing else that a run prints contains this character."""

SECRETS = "LAB_CHILD_WORDS"
"""Variable of the environment that gives a child more words of its command."""

PATIENCE = 60.0  # seconds for children that were asked to end: they save, and W&B may take longer
POLL = 0.1  # seconds
TAIL = 12  # lines of a log

How = Literal["ran", "resumed", "there", "elsewhere"]
"""A new run; resumed; complete from before; being trained by another process."""


@dataclass
class Child:
    """One of several runs: before, while and after it is trained.

    Args:
        settings: that it has and the others have not: its seed, its fold.
        how: it comes about.
        words: of its command; none where there is nothing to do.
        log: file for its output.
        folder: of the run, once it is known.
        state: it is in.
        code: exit code, in the end.
        secrets: more words of its command, which no list of processes shows.
    """

    settings: Mapping[str, Any]
    how: How
    words: Sequence[str]
    log: Path
    folder: Path | None = None
    state: Literal["waiting", "running", "ended"] = "waiting"
    code: int = 0
    secrets: Sequence[str] = ()
    update: Update | None = None
    """How far it is, as it said last."""
    asked: bool = False
    """Whether it was asked to end."""
    problem: str = ""
    """Why it could not begin."""
    began: float = 0.0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Its settings in words: `seed 0, fold 3`."""
        return named(self.settings)

    @property
    def failed(self) -> bool:
        """Whether it ended with an error of its own."""
        return self.state == "ended" and bool(self.words) and self.code != 0 and not self.asked

    @property
    def tail(self) -> list[str]:
        """The last lines of its output."""
        return [*self._lines()[-TAIL:], *([self.problem] if self.problem else [])]

    @property
    def notices(self) -> list[str]:
        """The notices in its output."""
        return [line.removeprefix(NOTICE) for line in self._lines() if line.startswith(NOTICE)]

    def hear(self, line: bytes) -> None:
        """Take a line of its output: progress, or a line for the log."""
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


class Running(NamedTuple):
    """A running child.

    Args:
        process: of the child.
        lifeline: end of a pipe; the child ends when it is closed, as it is when this process ends.
        listener: reads its output.
    """

    process: Process
    lifeline: int
    listener: threading.Thread


class Children:
    """Runs the commands of some children, `jobs` of them at once.

    Args:
        server: forks them; None, or one that has ended, for processes that begin from nothing.
    """

    def __init__(self, children: Sequence[Child], jobs: int, server: ForkServer | None = None) -> None:
        self.children, self.jobs, self.server = children, jobs, server
        self.running: dict[int, Running] = {}
        """The running ones, by their place in `children`."""

    def step(self) -> bool:
        """Note which have ended and start as many as may run; return whether any are left."""
        self._look()
        for place, child in enumerate(self.children):
            if child.state == "waiting" and len(self.running) < self.jobs:
                self._start(place, child)
        return any(child.state != "ended" for child in self.children)

    def end(self, signal_number: int, wait: Callable[[], None]) -> None:
        """Pass a signal on to the running ones and give them time to save, calling `wait` meanwhile."""
        for place, child in enumerate(self.children):
            child.asked = place in self.running
        for one in self.running.values():
            with suppress(OSError):
                one.process.send_signal(signal_number)
        until = time.monotonic() + PATIENCE
        while self.running and time.monotonic() < until:
            time.sleep(POLL)
            self._look()
            wait()

    def kill(self) -> None:
        """Kill those that are still running."""
        for one in self.running.values():
            one.process.kill()
        for place, one in list(self.running.items()):
            one.process.wait()
            self._let_go(place)

    def _start(self, place: int, child: Child) -> None:
        try:
            self.running[place] = self._run(child)
        except OSError as error:  # no memory, too many processes, a full disk: others may still start
            child.state, child.code, child.problem = "ended", 1, f"could not be started: {error.strerror}"
            return
        child.state, child.began = "running", time.monotonic()

    def _run(self, child: Child) -> Running:
        held, lifeline = os.pipe()
        said, output = os.pipe()
        try:
            with child.log.open("ab") as log:  # append: this process writes to it as well
                program = Path(__file__).with_name("child.py")
                streams = (held, output, log.fileno())
                later = sum(one.state == "waiting" for one in self.children) - 1
                environment = {**os.environ, RUNS_AFTER: str(later), SECRETS: json.dumps(list(child.secrets))}
                entry = ("lab.seeds.child", "main")
                process = start_process(self.server, entry, program, child.words, streams, environment)
        except OSError:
            os.close(lifeline)
            os.close(said)
            raise
        finally:
            os.close(held)
            os.close(output)
        listener = threading.Thread(target=_hear, args=(said, child), daemon=True)
        listener.start()
        return Running(process, lifeline, listener)

    def _look(self) -> None:
        for place, one in list(self.running.items()):
            child = self.children[place]
            child.seconds = time.monotonic() - child.began
            if (code := one.process.poll()) is not None:
                self._let_go(place)
                child.state, child.code = "ended", code if code >= 0 else 128 - code

    def _let_go(self, place: int) -> None:
        one = self.running.pop(place)
        os.close(one.lifeline)
        one.listener.join(1)  # its last output; a helper that lives on may hold the pipe open


def _hear(said: int, child: Child) -> None:
    with open(said, "rb") as pipe, suppress(OSError, ValueError):
        for line in pipe:
            child.hear(line)
