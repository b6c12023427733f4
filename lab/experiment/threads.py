"""How many CPU threads train fastest, by a measurement of about a second: what else the machine does counts as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

SECONDS = 1.0
"""Of the whole measurement; more where a single step takes longer."""
LONG = 60.0
"""Seconds of training from which on it is worth a measurement."""
GAIN = 1.1
"""How many times as fast more threads must be: they disturb other processes, and those disturb them."""
ROUNDS = 2


def steps_per_second(step: Callable[[], object], threads: list[int], *, seconds: float = SECONDS) -> dict[int, float]:
    """Return how often `step` runs in a second, by number of threads, each measured in turn twice.

    A number whose first step takes as long as all of it should is not measured further. The number of torch's threads
    is afterwards what it was before.
    """
    rates: dict[int, float] = {}
    steps, spent = dict.fromkeys(threads, 0), dict.fromkeys(threads, 0.0)
    with thread_count(threads[0]):
        for count in threads:
            torch.set_num_threads(count)
            if (took := _seconds(step)) > seconds:  # the threads are started in it
                rates[count] = 1 / took
        for count in [one for _ in range(ROUNDS) for one in threads if one not in rates]:
            torch.set_num_threads(count)
            end = spent[count] + seconds / ROUNDS / len(threads)
            while spent[count] < end:
                spent[count] += _seconds(step)
                steps[count] += 1
    return {count: rates[count] if count in rates else steps[count] / spent[count] for count in threads}


def fastest(rates: Mapping[int, float]) -> int:
    """Return the smallest number of threads that no larger one beats by a tenth."""
    best = min(rates)
    for count in sorted(rates):
        if rates[count] > GAIN * rates[best]:
            best = count
    return best


def is_long(step: Callable[[], object], steps: int) -> bool:
    """Return whether so many steps take a minute or more on one thread. Two are made: the first one may be slow."""
    with thread_count(1):
        return min(_seconds(step), _seconds(step)) * steps >= LONG


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Let torch use so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began
