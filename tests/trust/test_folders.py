"""The working directory may be an unpacked archive: what lies in it is not imported for somebody else's run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.saving.verify import _Lab

CANARY = "from pathlib import Path; Path('canary').touch()\n"


def plant(*names: str) -> None:
    """Write modules that leave a trace when they are imported."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(CANARY)


def test_started_processes_import_nothing_from_here() -> None:
    plant("lab/__init__.py", "lab/cli/__main__.py", "json.py", "errno.py", "argparse.py")
    process = _Lab(Path("said"), None)(["--version"])
    assert process.wait() == 0
    assert not Path("canary").exists()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_import_nothing_from_here(method: str) -> None:
    """Python begins such a process with `-c`, which takes the working directory first."""
    plant("multiprocessing/__init__.py", "multiprocessing/spawn.py", "multiprocessing/forkserver.py", "signal.py")
    Path("elsewhere").mkdir()
    Path("elsewhere/script.py").write_text(f"""
import contextlib, multiprocessing, sys
from lab.cli.main import entry
if __name__ == "__main__":
    sys.argv = ["lab", "--version"]
    with contextlib.suppress(SystemExit):
        entry()
    worker = multiprocessing.get_context({method!r}).Process(target=print, args=("worked",))
    worker.start()
    worker.join()
""")
    command = [sys.executable, "elsewhere/script.py"]  # with -P, its children would have it too
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "worked" in done.stdout
    assert not Path("canary").exists()
