"""The device and the number of threads that a run computes with."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Literal

import torch

from lab.errors import ConfigError

Device = Literal["auto", "cpu", "cuda", "mps"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as in malloc.h
DEFAULT_THREADS = torch.get_num_threads()


def select_device(wish: Device) -> torch.device:
    """Return the device for `wish`; `auto` takes CUDA, then MPS, then the CPU.

    Raises ConfigError, which lists the available devices, for a device that is not available.
    """
    there = [name for name, found in (("cuda", torch.cuda.is_available()), ("mps", _mps())) if found] + ["cpu"]
    chosen = there[0] if wish == "auto" else wish
    if chosen not in there:
        raise ConfigError(f"device {wish!r} is not available here; available: {', '.join(there)}")
    return torch.device(chosen, 0) if chosen == "cuda" else torch.device(chosen)


def describe(device: torch.device) -> str:
    """Return a readable name of the device."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def use_threads(wish: int | None) -> int:
    """Let torch use `wish` CPU threads, or its default for None; return the number in use.

    Raises ConfigError for more threads than the machine has CPUs.
    """
    if wish is not None and wish > (there := os.cpu_count() or 1):
        raise ConfigError(f"threads must be at most {there}, the CPUs of this machine, received {wish}")
    torch.set_num_threads(wish or DEFAULT_THREADS)
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed tensors and reuse it for the next ones.

    By default glibc returns large blocks to the system and requests them again, page by page and zeroed. That costs a
    quarter of the time of a small convolutional network. Does nothing on systems other than Linux.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest it takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def flush_denormals() -> None:
    """Let the CPU treat numbers below 1e-38 as 0, in this thread and in the threads that it starts.

    Adam's averages for a unit that is never active decay into this range and stay there, and arithmetic on such
    numbers is ten times slower. Weights are too large to be affected.
    """
    torch.set_flush_denormal(True)


def _mps() -> bool:
    return torch.backends.mps.is_available()
