"""The lock of a run's folder, and looking whether a process holds it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.runs.folder import CAN_ASK, at_work, locked

LOOKING = """
import sys
from pathlib import Path
from lab.runs.folder import at_work
print("looking", flush=True)
while True:
    at_work(Path(sys.argv[1]))
"""


@pytest.mark.skipif(not CAN_ASK, reason="needs Linux, where a lock can be asked about without taking it")
def test_looking_refuses_nobody(tmp_path: Path) -> None:
    looker = subprocess.Popen([sys.executable, "-c", LOOKING, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert looker.stdout is not None
        assert looker.stdout.readline() == b"looking\n"
        for _ in range(2000):
            with locked(tmp_path):
                pass
    finally:
        looker.kill()
        looker.communicate()


def test_lookers_do_not_see_each_other(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    seen: list[bool] = []
    lookers = [threading.Thread(target=lambda: seen.extend(at_work(tmp_path) for _ in range(300))) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert not any(seen)


def test_looking_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    assert not at_work(folder)
    if CAN_ASK:
        assert list(folder.iterdir()) == []


def test_holder_is_seen(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert at_work(tmp_path)
        with pytest.raises(ConfigError, match="another process works in"), locked(tmp_path):
            pass
    assert not at_work(tmp_path)
