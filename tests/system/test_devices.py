"""What a run computes on, and how the processor is told to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab.system.cores import usable_cores


def test_denormal_numbers_count_as_zero() -> None:
    script = """
import sys, torch
from lab.devices import flush_denormals
if not torch.set_flush_denormal(False):
    sys.exit(77)
smallest = torch.full((64,), torch.finfo(torch.float32).tiny)
assert (smallest / 2 > 0).all()
flush_denormals()
assert (smallest / 2 == 0).all() and (smallest > 0).all()
"""
    done = subprocess.run([sys.executable, "-c", script])  # alone: the setting is the process's
    if done.returncode == 77:
        pytest.skip("this processor cannot be told")
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to a processor")
def test_a_pinned_process_uses_the_processors_that_it_is_pinned_to() -> None:
    there = os.sched_getaffinity(0)
    assert usable_cores() == len(there)
    try:
        os.sched_setaffinity(0, {min(there)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, there)
