"""Processes that a benchmark listens to while they run."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence


def lines(command: Sequence[str]) -> Generator[str, None, None]:
    """Yield the lines that a process prints. It is ended where the caller closes this generator.

    Raises CalledProcessError where the process fails.
    """
    with (
        tempfile.TemporaryFile("w+", errors="replace") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        assert process.stdout
        try:
            yield from process.stdout
            process.wait()
        finally:
            process.terminate()  # does nothing to one that has ended
        if process.returncode:
            said.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, stderr=said.read())


def until(begins: str, command: Sequence[str]) -> tuple[float, str]:
    """Return the seconds from the start of a process to its first line that begins so, and the line. It runs on to its
    end, which does not count.

    Raises CalledProcessError where the process fails, be it after that line, and where there is no such line.
    """
    started, found, said = time.perf_counter(), None, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if found is None and line.startswith(begins):
                found = time.perf_counter() - started, line
            said.append(line)
    if found is None:
        said.append(f"no line begins with {begins}")
    if process.returncode or found is None:
        raise subprocess.CalledProcessError(process.returncode, command, stderr="".join(said))
    return found
