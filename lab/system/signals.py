"""Signals that ask a run to end: it ends at the next point where it can be saved, or a few seconds later anyway."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lab.console.progress import notice
from lab.errors import Interrupted

ASKED_TO_END = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, n)]
GRACE = 5.0  # seconds until a run that comes to no point where it can be saved is ended where it stands


class Stop:
    """Whether the run has been asked to end. Outside `deferred` a signal raises Interrupted at once."""

    def __init__(self) -> None:
        self.requested: int | None = None
        self.taken: list[int] = []
        self._deferring = False

    def raise_if_requested(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.requested is not None:
            raise Interrupted(self.requested)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, a signal waits up to `GRACE` seconds for someone to call `raise_if_requested`."""
        self._deferring = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        try:
            yield
        finally:
            if self._deferring:
                signal.setitimer(signal.ITIMER_REAL, 0)
            self._deferring = False
        self.raise_if_requested()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take the first signal; from then on each has its usual effect, at once."""
        for each in self.taken:
            signal.signal(each, signal.SIG_DFL)
        self.requested = number
        if not self._deferring:
            raise Interrupted(number)
        signal.signal(signal.SIGALRM, lambda *_: self.raise_if_requested())
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        notice(f"{signal.Signals(number).name}: saving, then ending; once more ends at once")


@contextmanager
def signals_as_exceptions() -> Iterator[Stop]:
    """Raise Interrupted on the first signal; a second one has its usual effect, at once.

    Outside the main thread, where Python lets nobody handle signals, this does nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # nohup ignores SIGHUP on purpose: what is ignored stays so.
    before = {each: old for each in ASKED_TO_END if (old := signal.getsignal(each)) is not signal.SIG_IGN}
    stop.taken = list(before)
    for each in before:
        signal.signal(each, stop.handle)
    try:
        yield stop
    finally:
        for each, old in before.items():
            signal.signal(each, old)
