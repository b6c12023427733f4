"""`lab runs --watch`: the same list again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from lab.cli.output import print_line

EVERY = 2.0  # seconds
CLEAR = "\x1b[H\x1b[2J"
"""Moves a terminal's cursor to its upper left corner and clears it."""


def watch(show: Callable[[], int]) -> int:
    """Call `show` every two seconds, on a cleared terminal, until Ctrl-C."""
    code = 0
    try:
        while True:
            if sys.stdout.isatty():
                sys.stdout.write(CLEAR)
            code = show()
            sys.stdout.flush()
            time.sleep(EVERY)
    except KeyboardInterrupt:
        print_line()
        return code
