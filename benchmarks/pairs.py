"""Ratios of two times, measured in alternation: on a shared machine ratios vary much less than absolute times."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch


def one_core() -> None:
    """Pin this process and its children to one core, so that threads which another library starts are counted too."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@contextmanager
def cores_as_found() -> Iterator[None]:
    """Undo, at the end of the block, what was changed in it of this process's cores and torch's threads."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Ratio:
    """Seconds of ours divided by seconds of the other, over all pairs."""

    name: str
    minimum: float
    median: float
    maximum: float
    ours: float
    other: float
    pairs: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.median:.3f} (min {self.minimum:.3f}, max {self.maximum:.3f}, {self.pairs} pairs; "
            f"medians {self.ours:.3f} s against {self.other:.3f} s: {1 / self.median:.2f} times as fast)"
        )


def alternate(name: str, ours: Callable[[], float], other: Callable[[], float], pairs: int) -> Ratio:
    """Time `ours` and `other` in pairs, in alternating order, after one unmeasured call of each."""
    ours(), other()
    times: list[tuple[float, float]] = []
    for i in range(pairs):
        if i % 2:
            b, a = other(), ours()
        else:
            a, b = ours(), other()
        times.append((a, b))
    ratios = [a / b for a, b in times]
    result = Ratio(
        name,
        min(ratios),
        statistics.median(ratios),
        max(ratios),
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        pairs,
    )
    print(result, flush=True)
    print(json.dumps(asdict(result)), flush=True)
    return result
