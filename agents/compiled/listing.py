"""The operations of a function as text, by which its compiled program is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

DRAWS = frozenset(
    {aten.exponential_.default, aten.uniform_.default, aten.normal_.default, aten.bernoulli_.float}
    | {aten.rand_like.default, aten.randn_like.default}
)
"""Random numbers that depend on no tensor's values: they are drawn before a compiled program runs, in their order."""

MOST_WRITTEN = 64
"""Numbers of a constant, such as `torch.tensor([1, 2])`, that become part of the text."""


class Listing:
    """Notes operations down as text. Two functions with the same text compute the same.

    Args:
        inputs: tensors that the function is given.
        others: tensors that it may read or change besides: weights, buffers, the optimizer's state.
    """

    def __init__(self, inputs: Sequence[Tensor], others: Sequence[Tensor]) -> None:
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self.kept: list[Tensor] = []  # or another tensor may get the memory of one that is gone
        self.draws: list[tuple[Any, tuple[Any, ...], dict[str, Any], Tensor]] = []
        """Operation, arguments, settings and result of each draw of random numbers."""
        self.complete = True
        """Whether the text says everything: false where a tensor comes from elsewhere, or chance depends on values."""
        for kind, tensors in (("input", inputs), ("other", others)):
            for number, x in enumerate(tensors):
                self.names.setdefault(_place(x), f"{kind}{number}")
                self.lines.append(f"{kind}{number} {_form(x)}")

    def add(self, func: Any, args: Any, settings: dict[str, Any], results: Sequence[Any]) -> None:
        """Note down an operation that has run."""
        tensors = [x for x in results if isinstance(x, Tensor)]
        if func is aten.lift_fresh.default:
            (given,) = args
            self.complete = self.complete and given.numel() <= MOST_WRITTEN
            said = str(given.tolist()) if given.numel() <= MOST_WRITTEN else "?"
        else:
            said = self._said([args, settings])
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.complete = self.complete and func in DRAWS and settings.get("generator") is None
            self.draws += [(func, args, settings, x) for x in tensors]
        for x in tensors:
            self.names.setdefault(_place(x), f"own{len(self.names)}")
        self.kept += tensors
        self.lines.append(f"{func} {said} -> {self._said(list(results))}")

    def digest(self, outputs: Sequence[Tensor]) -> str | None:
        """Return a hash of the text; None where it does not say everything."""
        text = "\n".join([*self.lines, self._said(list(outputs))])
        return hashlib.sha256(text.encode()).hexdigest() if self.complete else None

    def _said(self, value: Any) -> str:
        if isinstance(value, Tensor):
            name = self.names.get(_place(value))
            self.complete = self.complete and name is not None
            return f"{name}{_form(value)}"
        if isinstance(value, dict):
            return f"{{{', '.join(f'{key}: {self._said(value[key])}' for key in sorted(value))}}}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self._said, value))}]"
        self.complete = self.complete and not isinstance(value, torch.Generator)
        return repr(value)


def _place(x: Tensor) -> int:
    """Return a number for the memory that a tensor lies in."""
    return int(x.untyped_storage()._cdata)


def _form(x: Tensor) -> str:
    dtype = str(x.dtype).removeprefix("torch.")
    return f"({dtype} {tuple(x.shape)} {x.stride()} {x.storage_offset()})"
