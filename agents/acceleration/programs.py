"""Recorded operations that run again on the CPU, and the inputs of functions taken apart and put together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from agents.acceleration.tape import Call

Input = Any
"""Tensors and numbers, alone or in tuples and dicts. Numbers become tensors; anything else is a constant: a function
has a program for each value of it."""


class Program:
    """Operations in their order, from inputs at fixed places to outputs at fixed places."""

    def __init__(
        self, inputs: list[Tensor], calls: list[Call], outputs: Sequence[Tensor], memory: list[Tensor]
    ) -> None:
        self.inputs, self.calls, self.memory, self.proofs = inputs, calls, memory, 0
        self.filled: list[tuple[Any, int, int]] = [(None, 0, 0)] * len(inputs)
        """By which tensors the inputs were filled, and torch's versions of both, which count changes."""
        self.outputs = tuple(output.detach() for output in outputs)

    def __call__(self, leaves: Sequence[Tensor | float]) -> Sequence[Tensor]:
        with torch.no_grad():
            self._fill(leaves)
            for operation, arguments, settings in self.calls:
                operation(*arguments, **settings)
        return self.outputs

    def _fill(self, leaves: Sequence[Tensor | float]) -> None:
        """Copy the inputs to their places, unless they are there: PPO learns from one batch again and again."""
        for i, new in enumerate(leaves):
            if isinstance(new, Tensor):
                last, version, own = self.filled[i]
                place = self.inputs[i]
                if new is not last or new._version != version or place._version != own:
                    place.copy_(new)
                    self.filled[i] = (new, new._version, place._version)
            else:
                self.inputs[i].fill_(new)


def take_apart(inputs: Iterable[Input], leaves: list[Tensor | float]) -> Hashable:
    """Append the tensors and numbers in `inputs` to `leaves`, and return a key: inputs with the same key differ in
    values only."""
    key: list[Hashable] = []
    for given in inputs:
        if isinstance(given, Tensor):
            leaves.append(given)
            key += (given.shape, given.dtype)
        elif type(given) is float or type(given) is int:
            leaves.append(given)
            key.append(float)
        elif isinstance(given, tuple):
            key.append(take_apart(given, leaves))
        elif isinstance(given, dict):
            key += (*given, take_apart(given.values(), leaves))
        else:
            key.append(given)
    return tuple(key)


def rebuild(given: Input, leaves: list[Tensor]) -> Input:
    """Return `given` with its tensors and numbers replaced by the first of `leaves`, which are removed there."""
    if isinstance(given, tuple):
        parts = [rebuild(part, leaves) for part in given]
        return given._make(parts) if hasattr(given, "_make") else tuple(parts)
    if isinstance(given, dict):
        return {key: rebuild(part, leaves) for key, part in given.items()}
    if isinstance(given, Tensor) or type(given) is float or type(given) is int:
        return leaves.pop(0)
    return given
