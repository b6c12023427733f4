"""Where a run computes, and on how many threads."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from lab.errors import ConfigError

Device = Literal["auto", "cpu", "cuda", "mps"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as in malloc.h
DEFAULT_THREADS = torch.get_num_threads()


def select_device(wish: Device) -> torch.device:
    """Return the device for `wish`; `auto` takes CUDA, then MPS, then the CPU.

    Raises ConfigError, with the devices there are, for one that is not.
    """
    there = [name for name, found in (("cuda", torch.cuda.is_available()), ("mps", _mps())) if found] + ["cpu"]
    chosen = there[0] if wish == "auto" else wish
    if chosen not in there:
        raise ConfigError(f"device {wish!r} is not available here; available: {', '.join(there)}")
    return torch.device(chosen, 0) if chosen == "cuda" else torch.device(chosen)


def describe(device: torch.device) -> str:
    """Name of the device as a person would say it."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def use_threads(wish: int | None) -> int:
    """Let torch compute on `wish` CPU threads, or its own choice for None; return the number in use.

    Raises ConfigError for more than there are CPUs.
    """
    if wish is not None and wish > (there := os.cpu_count() or 1):
        raise ConfigError(f"threads must be at most {there}, the CPUs of this machine, received {wish}")
    torch.set_num_threads(wish or DEFAULT_THREADS)
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Let the C library keep the memory of tensors that are gone, for the next ones.

    By itself glibc gives large blocks back to the system and gets them again, page by page and zeroed: a quarter of
    the time of a small convolutional net. Other systems are left as they are.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest it takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def flush_denormals() -> None:
    """Let the CPU take numbers below 1e-38 for 0, in this thread and those that it starts.

    Adam's averages for a unit that no longer fires decay into these numbers and stay there, and arithmetic on them is
    ten times as slow. Weights are too large to notice.
    """
    torch.set_flush_denormal(True)


@contextmanager
def own_randomness(device: torch.device, seed: int) -> Iterator[None]:
    """Draw random numbers from `seed` inside the block, and leave those outside as if it had not been there."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        mps = torch.mps.get_rng_state() if device.type == "mps" else None  # fork_rng does not know this one
        torch.manual_seed(seed)
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)


def _mps() -> bool:
    return torch.backends.mps.is_available()
