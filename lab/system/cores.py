"""How many processors this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return those that the process is allowed to run on, where the system tells (taskset, Slurm and containers allow
    it fewer than there are), else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
