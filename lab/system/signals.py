"""Signals that ask a run to end. It ends at its next safe point, or a few seconds later if there is none."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lab.errors import Interrupted

ASKED_TO_END = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, n)]
GRACE = 5.0  # seconds that a run has to reach a safe point before it is ended without saving; saving may take longer


own_process = False
"""Whether this process belongs to one command. A second signal ends it then; a Python session must live on."""


class Stop:
    """Records whether the run has been asked to end. Outside `deferred` a signal raises Interrupted immediately."""

    def __init__(self) -> None:
        self.requested: int | None = None
        self.taken: list[int] = []
        self._deferring = self._saving = self._late = False

    def raise_if_requested(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.requested is not None:
            raise Interrupted(self.requested)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside the block, a signal waits up to `GRACE` seconds for a call of `raise_if_requested`, and for the end of
        a block of `saving`."""
        self._deferring = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        try:
            yield
        finally:
            if self._deferring:
                signal.setitimer(signal.ITIMER_REAL, 0)
            self._deferring = False
        self.raise_if_requested()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Inside the block, the time for reaching a safe point does not run out: it has been reached, and what is being
        written is finished. A second signal still ends the run at once."""
        self._saving = True
        try:
            yield
        finally:
            self._saving = False
        if self._late:
            self.raise_if_requested()

    def _time_is_up(self, number: int, frame: FrameType | None) -> None:
        self._late = True
        if not self._saving:
            self.raise_if_requested()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle the first signal. A second one ends the process of a command at once. In a Python session, a second
        SIGINT raises KeyboardInterrupt."""
        for each in self.taken:
            lives_on = each == signal.SIGINT and not own_process
            signal.signal(each, signal.default_int_handler if lives_on else signal.SIG_DFL)
        self.requested = number
        if not self._deferring:
            raise Interrupted(number)
        signal.signal(signal.SIGALRM, self._time_is_up)
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        from lab.console.notices import notice  # `lab --help` does not need it

        notice(f"{signal.Signals(number).name}: saving, then ending; a second signal ends the run at once")


@contextmanager
def signals_as_exceptions() -> Iterator[Stop]:
    """Raise Interrupted on the first signal. A second one ends the run at once.

    Does nothing outside the main thread, where Python does not allow signal handlers.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # A signal that is ignored stays ignored: nohup ignores SIGHUP on purpose.
    before = {each: old for each in ASKED_TO_END if (old := signal.getsignal(each)) is not signal.SIG_IGN}
    stop.taken = list(before)
    alarm = signal.getsignal(signal.SIGALRM) if hasattr(signal, "SIGALRM") else None
    for each in before:
        signal.signal(each, stop.handle)
    try:
        yield stop
    finally:
        for each, old in before.items():
            signal.signal(each, old)
        if alarm is not None:
            signal.signal(signal.SIGALRM, alarm)
