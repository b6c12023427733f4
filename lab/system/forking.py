"""Child processes that need not import PyTorch: they are forked from one process that has imported it.

Importing takes seconds, more than many a small run. Forking is used on Linux without CUDA alone: macOS's libraries, and
CUDA's, do not bear it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

PATIENCE = 120.0  # seconds for a forked process to begin, imports included
RUNS_AFTER = "LAB_RUNS_AFTER"
"""Variable that tells a run how many like it begin later, for which it may make something."""
MODULES = ("lab.cli.main", "lab.runner", "lab.resuming")  # by name: they are above this room


def can_fork() -> bool:
    """Whether processes that have imported PyTorch may be forked here."""
    import torch  # whoever only shows such processes need not load it

    return sys.platform == "linux" and not torch.cuda.is_available()


class Forked:
    """A forked process, with as much of the interface of `subprocess.Popen` as its users need.

    Args:
        server: that it was forked by.
        pid: of the process.
        returncode: its exit code, or minus the signal that ended it; None while it runs.
    """

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.server, self.pid = server, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        if self.returncode is None:
            self.server.listen(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and return its exit code. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired("lab", timeout or 0)
            self.server.listen(left)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process, if it has not ended."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """A process that imports what runs of an experiment need, once, and forks them. It ends with this process.

    Args:
        name: of the experiment, or of a YAML file.
        words: overrides that name further classes.
    """

    def __init__(self, name: str, words: Sequence[str] = ()) -> None:
        self.children: dict[int, Forked] = {}
        """Those that run, by their process id."""
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        plan = json.dumps({"modules": MODULES, "call": ("lab.configuration", "load", (name, list(words)))})
        script = str(Path(__file__).with_name("fork_server.py"))
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", script, str(theirs.fileno()), plan],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the children's parent
            )

    def start(
        self,
        entry: tuple[str, str],
        words: Sequence[str],
        streams: tuple[int, int, int],
        environment: dict[str, str] | None = None,
    ) -> Forked:
        """Fork a process that calls the function `entry` (module and name) with `words` as the command line.

        Args:
            streams: its standard input, output and error.
            environment: its environment variables; None for those of this process.

        Raises OSError if the server has ended, as it does when an import fails.
        """
        request = {
            "entry": entry,
            "words": list(words),
            "folder": os.getcwd(),
            "environment": environment or dict(os.environ),
        }
        socket.send_fds(self.connection, [json.dumps(request).encode()], streams)
        while (message := self._hear(PATIENCE)) is not None:
            if "began" in message:
                child = self.children[message["began"]] = Forked(self, message["began"])
                return child
        self.process.kill()  # or it would fork later what nobody waits for any more
        raise OSError("the process that forks others has ended, or did not answer in time")

    def listen(self, seconds: float | None) -> None:
        """Wait until a child has ended, for so many seconds at most."""
        if self._hear(seconds) is None and self.process.poll() is not None:
            for child in list(self.children.values()):  # nobody can tell their exit codes any more
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                self._end(child.pid, -signal.SIGKILL)

    def close(self) -> None:
        """End the server. Its children live on."""
        self.connection.close()
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _hear(self, seconds: float | None) -> dict[str, Any] | None:
        """Return the next message, after noting whose end it reports; None if none came in time, or none ever will."""
        self.connection.settimeout(seconds)
        try:
            received = self.connection.recv(4096)
        except (TimeoutError, BlockingIOError):
            return None
        message: dict[str, Any] = json.loads(received) if received else {}
        if "ended" in message:
            self._end(message["ended"], message["code"])
        return message or None

    def _end(self, pid: int, code: int) -> None:
        self.children.pop(pid).returncode = code


Process = subprocess.Popen[bytes] | Forked


def start_process(
    server: ForkServer | None,
    entry: tuple[str, str],
    program: Path,
    words: Sequence[str],
    streams: tuple[int, int, int],
    environment: dict[str, str] | None = None,
) -> Process:
    """Fork a process from the server; where there is none, or it has ended, begin one from nothing.

    Args:
        server: None where nothing can be forked.
        entry, words, streams, environment: see `ForkServer.start`.
        program: file that Python is to run from nothing, with the words.

    Raises OSError if it cannot be started. Ctrl-C at a terminal does not reach it.
    """
    if server is not None:
        with suppress(OSError):
            return server.start(entry, words, streams, environment)
    stdin, stdout, stderr = streams
    command = [sys.executable, "-P", str(program), *words]  # -P: neither the file's folder nor the working directory
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, start_new_session=True)
