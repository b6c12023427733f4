"""How much memory is free, on the computer and on its accelerator, and whether data fit into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from lab.console.wording import size
from lab.errors import DataError

CPU = torch.device("cpu")
GROUPS = (  # of processes, whose memory a container or a batch system limits: what they may use, and what they use
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)

OWN_GROUPS = Path("/proc/self/cgroup")


def free_memory(device: torch.device = CPU) -> int | None:
    """Return the free bytes on the device; None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch has reserved and does not use is free for it.
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    limits = [_limit(Path(most), Path(used)) for most, used in _groups()]
    found = [limit for limit in (_available(), *limits) if limit is not None]
    return min(found) if found else None


def all_memory() -> int | None:
    """Return the bytes that this process may have at most, used or not; None where the system does not say."""
    limits = [_number(Path(most)) for most, _ in _groups()]
    found = [limit for limit in (_physical(), _address_space(), *limits) if limit is not None]
    return min(found) if found else None


def require_memory(needed: int, what: str, device: torch.device = CPU, *, hint: str = "") -> None:
    """Raise DataError, with both sizes, where data need more memory than is free.

    Args:
        needed: bytes.
        what: needs them, with its verb: `the images need`.
        device: where they are to lie.
        hint: what to do about it, after the sentence.
    """
    free = free_memory(device)
    if free is not None and needed > free:
        where = "this machine" if device.type == "cpu" else str(device)
        raise DataError(f"{what} {size(needed)} of memory, but {where} has {size(free)} free{hint and f'; {hint}'}")


def _available() -> int | None:
    """Return what Linux would give to a new process; elsewhere all memory there is."""
    said = Path("/proc/meminfo")
    try:
        for line in said.read_text().splitlines() if said.exists() else ():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return _physical()
    except (OSError, ValueError):
        return None


def _physical() -> int | None:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None


def _address_space() -> int | None:
    """Return what `ulimit -v` allows."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _groups() -> Iterator[tuple[str, str]]:
    """Yield the files of the groups that limit this process: of the container, and of the job inside it."""
    yield from GROUPS
    try:
        mine = [line.split(":", 2)[2].strip("/") for line in OWN_GROUPS.read_text().splitlines()]
    except (OSError, IndexError):
        return
    for most, used in GROUPS:
        place = Path(most).parent
        for group in mine:
            for folder in (place / group, *(place / group).parents) if group else ():
                if folder != place and folder.is_relative_to(place):
                    yield str(folder / Path(most).name), str(folder / Path(used).name)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such group, or one without a limit: "max"
        return None


def _limit(most: Path, used: Path) -> int | None:
    """Return what a group may still use. Its cache of files counts as used, and is given back when memory is needed."""
    limit, taken = _number(most), _number(used)
    return None if limit is None or taken is None else limit - max(taken - _cache(used.with_name("memory.stat")), 0)


def _cache(said: Path) -> int:
    """Return the bytes of a group's cache of files that were not used lately; 0 where the system does not say."""
    try:
        found = dict(line.split()[:2] for line in said.read_text().splitlines())
        # The former counts the groups inside of it too.
        return int(found.get("total_inactive_file", found.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0
