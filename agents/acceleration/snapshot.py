"""Copies of what a function may change, and a look at everything that it reads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

IMMUTABLE = (bool, int, float, str, bytes)
"""Types whose objects cannot change: another object with the same value is the same."""


class Snapshot:
    """A copy of what a function may change: weights and buffers, other tensors, and torch's random numbers."""

    def __init__(self, module: nn.Module, device: torch.device, others: Sequence[Tensor] = ()) -> None:
        self.device = device
        self.tensors = [x.detach() for x in (*module.parameters(), *module.buffers(), *others)]
        self.copies = [x.clone() for x in self.tensors]
        self.numbers = [get() for get, _ in self._generators()]

    def restore(self) -> None:
        """Bring everything back."""
        for tensor, copy in zip(self.tensors, self.copies, strict=True):
            tensor.copy_(copy)
        for (_, put), numbers in zip(self._generators(), self.numbers, strict=True):
            put(numbers)

    def is_now(self, same: Callable[[Tensor, Tensor], bool]) -> bool:
        """Whether everything is as it was copied."""
        now = [get() for get, _ in self._generators()]
        return all(map(same, self.tensors, self.copies)) and all(map(torch.equal, now, self.numbers))

    def _generators(self) -> Iterator[tuple[Callable[[], Tensor], Callable[[Tensor], None]]]:
        yield torch.get_rng_state, torch.set_rng_state
        if self.device.type == "cuda":
            yield torch.cuda.get_rng_state, torch.cuda.set_rng_state


def dicts_of(module: nn.Module) -> list[dict[str, Any]]:
    """Return the dicts that hold the attributes of a module and of all modules inside."""
    return [d for part in module.modules() for d in (vars(part), part._parameters, part._buffers, part._modules)]


def attributes(dicts: list[dict[str, Any]]) -> list[Any]:
    """Return everything that a module consists of, and which of its weights are trained."""
    found = list(chain.from_iterable(map(dict.values, dicts)))
    return found + [x.requires_grad for x in found if type(x) is nn.Parameter]


def surroundings(module: nn.Module) -> list[Any]:
    """Return the attributes of a module, and the states of the random generators of Python and NumPy."""
    _, keys, position, *_ = np.random.get_state()
    return [*attributes(dicts_of(module)), hash(random.getstate()), bytes(keys), position]  # type: ignore[arg-type]


def unchanged(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether these are the same objects, or equal ones of immutable types."""
    if len(some) != len(others):
        return False
    if all(map(is_, some, others)):
        return True
    return all(
        a is b or (type(a) in IMMUTABLE and type(a) is type(b) and a == b) for a, b in zip(some, others, strict=True)
    )


def close(some: Tensor, others: Tensor) -> bool:
    """Whether tensors differ by rounding alone. Whole numbers may differ: the largest of two almost equal values."""
    if some.shape != others.shape or some.dtype != others.dtype:
        return False
    if not some.is_floating_point():
        return True
    largest = float(others.detach().abs().nan_to_num(posinf=0.0).max()) if others.numel() else 0.0
    return torch.allclose(some, others, rtol=1e-3, atol=1e-4 * largest, equal_nan=True)
