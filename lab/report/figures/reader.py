"""Reading many journals at once, in a few child processes.

`python reader.py` is such a child: it gets its jobs on standard input and writes what it read to standard output.
(`multiprocessing` would run the caller's own script again in every child.)
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.system.cores import usable_cores

if TYPE_CHECKING:
    from lab.report.figures.curves import Curves
    from lab.runs.select import Run

WORTH_PROCESSES = 50_000_000  # bytes of journals; below, starting processes takes longer than reading
MOST_PROCESSES = 8

Job = tuple[Path, float | None]


def reading(runs: Sequence[Run]) -> Future[dict[int, Curves]]:
    """Begin to read the journals of runs; the result is by the `id` of each run."""
    from lab.report.display import moment

    began = [at.timestamp() if (at := moment(run.record.started)) else None for run in runs]

    def read() -> dict[int, Curves]:
        found = read_all([run.record.dir for run in runs], began)
        return {id(run): curves for run, curves in zip(runs, found, strict=True)}

    thread = ThreadPoolExecutor(1)  # it waits for processes
    try:
        return thread.submit(read)
    finally:
        thread.shutdown(wait=False)


def read_all(folders: Sequence[Path], started: Sequence[float | None]) -> list[Curves]:
    """Read the journals of many runs, in their order.

    `started` are the times at which the runs began, in seconds since the epoch; None for that of the first row.
    """
    from lab.report.figures.curves import read_curves
    from lab.tracking.journal import METRICS

    jobs = list(zip(folders, started, strict=True))
    sizes = [path.stat().st_size if (path := folder / METRICS).is_file() else 0 for folder, _ in jobs]
    workers = min(len(jobs), usable_cores(), MOST_PROCESSES)
    if sum(sizes) < WORTH_PROCESSES or workers < 2:
        return [read_curves(*job) for job in jobs]
    by_size = sorted(range(len(jobs)), key=lambda i: -sizes[i])
    found: dict[int, Curves] = {}
    with ExitStack() as ending:
        shares = [by_size[i::workers] for i in range(workers)]
        children = [_start([jobs[i] for i in share], ending) for share in shares]
        for share, child in zip(shares, children, strict=True):
            assert child.stdout is not None
            try:
                curves = pickle.load(child.stdout)  # noqa: S301  from a process that we started
            except (EOFError, OSError, pickle.UnpicklingError):  # it was killed
                curves = [read_curves(*jobs[i]) for i in share]
            found |= dict(zip(share, curves, strict=True))
    return [found[i] for i in range(len(jobs))]


def _start(jobs: Sequence[Job], ending: ExitStack) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    ending.enter_context(child)
    ending.callback(child.kill)  # before it is waited for: it must not outlive this process
    assert child.stdin is not None
    with suppress(OSError), child.stdin:  # the child may have died
        pickle.dump(jobs, child.stdin)
    return child


def main() -> None:
    """Read what standard input names."""
    root = str(Path(__file__).resolve().parents[3])
    if root not in sys.path:
        sys.path.insert(0, root)  # a checkout that is not installed
    from lab.report.figures.curves import read_curves

    jobs = pickle.load(sys.stdin.buffer)  # noqa: S301  from the process that started us
    pickle.dump([read_curves(*job) for job in jobs], sys.stdout.buffer, protocol=5)


if __name__ == "__main__":
    main()
