"""What must be unchanged for a resumed run to be bitwise identical: config, machine, device, threads and versions."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from lab.runs.summary import versions
from lab.system.devices import describe

BYSTANDERS = {"wandb", "jsonargparse"}
"""Recorded packages that do not affect any result."""


def surroundings(device: torch.device) -> dict[str, Any]:
    """Return what the figures of a run depend on besides its config: kind of machine, threads and versions."""
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "device": describe(device),
        "threads": torch.get_num_threads(),
        **{name: version for name, version in versions().items() if name not in BYSTANDERS},
    }


def differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yield a line `name: old -> new` for each setting that differs between two nested configs."""
    for place, old, new in changes(before, now, name):
        yield f"{place}: {old} -> {new}"


def changes(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted name, old, new) for each setting that differs between two nested configs."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in {**before, **now}:
            inner = name if key == "init_args" else f"{name}.{key}".lstrip(".")
            yield from changes(before.get(key), now.get(key), inner)
    elif before != now and not (before != before and now != now):  # a NaN differs from itself
        yield name, before, now
