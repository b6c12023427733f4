"""Settings of the CPU, and the number of cores."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab.system.cores import usable_cores


def test_denormals_are_flushed() -> None:
    script = """
import sys, torch
from lab.system.devices import flush_denormals
if not torch.set_flush_denormal(False):
    sys.exit(77)
smallest = torch.full((64,), torch.finfo(torch.float32).tiny)
assert (smallest / 2 > 0).all()
flush_denormals()
assert (smallest / 2 == 0).all() and (smallest > 0).all()
"""
    done = subprocess.run(
        [sys.executable, "-c", script]
    )  # in a process of its own, because the setting belongs to the process
    if done.returncode == 77:
        pytest.skip("this CPU cannot flush denormals")
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin processes to cores")
def test_pinned_process_counts_its_cores() -> None:
    there = os.sched_getaffinity(0)
    assert usable_cores() == len(there)
    try:
        os.sched_setaffinity(0, {min(there)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, there)
