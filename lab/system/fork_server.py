"""Imports what many processes need, once, and becomes each of them by forking: `python fork_server.py FD PLAN`.

FD is a socket to the process that wants children, and PLAN says in JSON what to import first. A request brings the
command and the standard streams of a child. `lab.system.forking` is the other end.
"""

from __future__ import annotations

import gc
import json
import os
import random
import selectors
import signal
import socket
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

LARGEST = 2**20  # bytes of a request


def main() -> None:
    """Import what the plan names, and serve; in a child, run its command."""
    connection, plan = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout that is not installed
    gc.disable()
    for name in plan["modules"]:
        import_module(name)
    module, function, arguments = plan["call"]
    getattr(import_module(module), function)(*arguments)
    gc.freeze()  # all of it stays: no child looks for garbage in it, which would also copy its memory
    gc.enable()
    request = serve(connection)
    sys.argv = ["lab", *request["words"]]
    module, function = request["entry"]
    getattr(import_module(module), function)()


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork a child for each request, and report when it ends. Returns in the children only, with their request."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == woken:
                    os.read(woken, 4096)
                    _report_ended(connection)
                    continue
                message, streams, _, _ = socket.recv_fds(connection, LARGEST, 3)
                if not message:  # whoever wanted children has ended
                    os._exit(0)
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for number in (connection.detach(), woken, wake):
                        os.close(number)
                    return _begin(json.loads(message), streams)
                for stream in streams:
                    os.close(stream)
                connection.send(json.dumps({"began": pid}).encode())


def _report_ended(connection: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        connection.send(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _begin(request: dict[str, Any], streams: list[int]) -> dict[str, Any]:
    """Make this process what a new one with the same command would be."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    random.seed()
    tempfile.tempdir = None  # it was chosen for the server
    return request


if __name__ == "__main__":
    main()
