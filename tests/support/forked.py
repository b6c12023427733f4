"""What forked processes of the tests do."""

from __future__ import annotations

import os
import random
import sys
import time


def tells() -> None:
    print(sys.argv)
    print(os.getcwd())
    print(os.environ.get("MY_VARIABLE"))
    print(os.getsid(0) == os.getpid())
    print("torch" in sys.modules)
    sys.exit(7)


def draws() -> None:
    print(random.random())


def sleeps() -> None:
    time.sleep(600)


def lab_after_prelude() -> None:
    """Execute the first word as Python, and run `lab` with the others."""
    from lab.cli.main import entry

    exec(sys.argv.pop(1), {"sys": sys})  # noqa: S102  # it comes from a test
    entry()
