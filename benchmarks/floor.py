"""How near each generative experiment trains to the floor of its arithmetic.

The floor is the multiplications and additions of a training step in products of matrices and convolutions, divided by
what this machine does of them in a large product of matrices. What an experiment takes above it goes to small
operations, to memory, and to the loop.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.left_out import left_out_if_missing
from lab.config.shipped import configs_folder
from lab.configuration import load
from lab.doctor import timed

SECONDS = 4.0  # of training, for each measurement
SIDE = 1024  # of the large matrices


def measure(pairs: int) -> None:
    rate = max(_products() for _ in range(max(3, pairs)))
    print(f"large products of matrices: {rate / 1e9:.0f} GFLOP/s")
    for path in sorted((configs_folder() / "generative").glob("*.yaml")):
        with left_out_if_missing(f"floor of {path.stem}"):
            taken, floor = _step(path.stem, pairs, rate)
            told = {"name": path.stem, "ms": 1000 * taken, "floor_ms": 1000 * floor, "share": floor / taken}
            print(f"{path.stem}: {1000 * taken:.1f} ms a step, the floor is {1000 * floor:.1f} ms: {floor / taken:.0%}")
            print(json.dumps(told), flush=True)


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the floating-point operations of all products of matrices and convolutions, backward passes included.

    PyTorch's own FlopCounterMode follows modules too, and cannot follow gradients of gradients.
    """

    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        count = flop_registry.get(function.overloadpacket)
        if count:
            self.operations += count(*args, **(kwargs or {}), out_val=found)
        return found


def _step(name: str, times: int, rate: float) -> tuple[float, float]:
    """Return the seconds of a training step, and those of its floor."""
    settings = {"device": "cpu", "threads": torch.get_num_threads()}
    with timed(load(name, settings)) as (_, turn):
        taken = statistics.median(1 / turn(SECONDS).rate for _ in range(times))
        with Counted() as counted:  # type: ignore[no-untyped-call]
            batches = turn(SECONDS).steps
    return taken, counted.operations / batches / rate


def _products() -> float:
    """Floating-point operations per second in a product of large matrices, two for each multiplication."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    started = time.perf_counter()
    for _ in range(10):
        a @ b
    return 10 * 2 * SIDE**3 / (time.perf_counter() - started)
