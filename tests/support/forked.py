"""What forked processes of the tests do."""

from __future__ import annotations

import os
import random
import signal
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
    """Execute the first word as Python, and run `lab` with the others.

    Background jobs of a shell ignore SIGINT, and nohup ignores SIGHUP. The usual handlers are restored.
    """
    from lab.cli.main import entry

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

    exec(sys.argv.pop(1), {"sys": sys})  # noqa: S102  # it comes from a test
    entry()
