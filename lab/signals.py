"""Signals that ask a run to end become one exception, so that every stage unwinds and the summary is written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lab.errors import Interrupted

ASKED_TO_END = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise Interrupted on the first of these signals; a second one has its usual effect, at once.

    Outside the main thread, where Python lets nobody handle signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ASKED_TO_END}

    def handle(number: int, frame: FrameType | None) -> None:
        for each in ASKED_TO_END:
            signal.signal(each, signal.SIG_DFL)
        raise Interrupted(number)

    # nohup ignores SIGHUP on purpose: what is ignored stays so.
    handled = [number for number in ASKED_TO_END if before[number] is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
