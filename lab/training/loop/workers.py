"""Worker processes that load data and die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import DataWorkerError


@contextmanager
def data_workers() -> Iterator[None]:
    """Raise DataWorkerError when a worker process of the data module dies; torch raises several kinds of error."""
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        reason = " ".join(str(error).split())
        raise DataWorkerError(f"a process that loads data died ({reason}); `lab resume` goes on") from error
