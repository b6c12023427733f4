"""Forked processes are what new ones would be, and none of them is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.system.forking import Forked, ForkServer, can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="needs Linux without CUDA")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer("ppo-cartpole") as started:
        yield started


def start(server: ForkServer, *words: str, **environment: str) -> tuple[Forked, Path]:
    """Start `tests.support.forked.NAME` with the rest of the words; return the process and the file it prints to."""
    name, *rest = words
    output = Path(f"{name}.txt")
    with output.open("wb") as said, open(os.devnull, "rb") as nothing:
        streams = (nothing.fileno(), said.fileno(), said.fileno())
        child = server.start(("tests.support.forked", name), rest, streams, {**os.environ, **environment})
    return child, output


def test_command_reaches_the_child(server: ForkServer) -> None:
    child, output = start(server, "tells", "a", "b c", MY_VARIABLE="there")
    assert child.wait(60) == 7
    assert output.read_text().splitlines() == ["['lab', 'a', 'b c']", str(Path.cwd()), "there", "True", "True"]


def test_children_draw_different_numbers(server: ForkServer) -> None:
    said = []
    for _ in range(2):
        child, output = start(server, "draws")
        child.wait(60)
        said.append(output.read_text())
    assert said[0] != said[1]


def test_signals_end_a_child(server: ForkServer) -> None:
    child, _ = start(server, "sleeps")
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == -signal.SIGTERM
    child.kill()  # nothing happens to a process that has ended


def test_exit_codes_belong_to_their_children(server: ForkServer) -> None:
    (slow, _), (quick, _) = start(server, "sleeps"), start(server, "tells")
    assert quick.wait(60) == 7
    assert slow.poll() is None
    slow.kill()
    assert slow.wait(60) == -signal.SIGKILL


def test_failed_import_is_an_error() -> None:
    with ForkServer("no-such-experiment") as broken, pytest.raises(OSError, match=r"ended|pipe|reset"):
        start(broken, "tells")


def test_killed_server_leaves_no_child() -> None:
    with ForkServer("ppo-cartpole") as server:
        child, _ = start(server, "sleeps")
        os.kill(server.process.pid, signal.SIGKILL)
        assert child.wait(60) == -signal.SIGKILL
        until = time.monotonic() + 30
        while Path(f"/proc/{child.pid}").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert not Path(f"/proc/{child.pid}").exists()
