"""The operations that a function of tensors consists of, noted down while it runs, to be run again in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

MOST_COPIED = 100_000
"""Numbers that may be copied from where an operation, such as a convolution, has put them itself: beyond that the
copies take longer than what is saved."""

ESCAPES = frozenset(
    {"tolist", "numpy", "__array__", "__dlpack__", "item", "__bool__", "__int__", "__float__", "__index__", "data_ptr"}
    | {"__repr__", "__format__"}
)
"""Ways from a tensor's values into Python that are no operation; what follows could depend on them."""

aten = torch.ops.aten
RELU = aten.relu.default
EMPTY = frozenset({aten.empty_like, aten.empty, aten.new_empty})
"""Give memory, and compute nothing."""

ROUNDED_OTHERWISE = frozenset({aten.prod, aten.cumprod, aten._linalg_det, aten._linalg_slogdet})
"""Torch takes the derivatives of these by another formula while anything listens, which shows in the last bit."""


class Call(NamedTuple):
    """Of an operation, writing into the tensors it wrote into when it was recorded."""

    operation: Callable[..., Any]
    arguments: tuple[Any, ...]
    settings: dict[str, Any]


class Tape(NamedTuple):
    """What a function did.

    Args:
        calls: its operations in their order; None where they cannot be repeated.
        faithful: whether they have computed what they do when nobody listens, to the last bit.
        memory: where their results lie, which belongs to the tape from now on.
        outputs: of the function.
    """

    calls: list[Call] | None
    faithful: bool
    memory: list[Tensor]
    outputs: Sequence[Tensor]


def record(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Any]) -> Tape:
    """Run a function and note down what it does."""
    recorder = _Recorder()
    with _Watch(recorder), recorder:
        outputs = function(*inputs)
    return Tape(None if recorder.refused else recorder.calls, not recorder.otherwise, recorder.memory, outputs)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes down every operation, those of autograd's backward pass included, and runs it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.memory: list[Tensor] = []
        self.refused, self.otherwise, self.copied = False, False, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        settings = kwargs or {}
        if func is RELU:  # cannot write into a tensor that it is given, and this can
            func, args = aten.clamp_min.default, (*args, 0)
        result = func(*args, **settings)
        results = list(result) if isinstance(result, tuple | list) else [result]
        self.otherwise = self.otherwise or func.overloadpacket in ROUNDED_OTHERWISE
        tensors = [x for x in results if x is not None]
        own_shape = torch.Tag.dynamic_output_shape in func.tags
        if self.otherwise or own_shape or not all(isinstance(x, Tensor) for x in tensors):
            self.refused = True
        else:
            self._note(func, args, settings, results)
        return result

    def _note(self, func: Any, args: Any, settings: dict[str, Any], results: list[Tensor | None]) -> None:
        given = {x.untyped_storage()._cdata for x in _tensors([*args, *settings.values()])}
        new = [x for x in results if x is not None and x.untyped_storage()._cdata not in given]
        self.memory += new
        if not new:  # in place, or views of arguments: those need no repeating
            if _writes(func):
                self.calls.append(Call(func._op, args, settings))
        elif func.overloadpacket not in EMPTY:
            in_place = _out_variant(func) is not None and not _writes(func) and len(new) == len(results)
            self.calls.append((_into if in_place else _copied)(func, args, settings, results))
            self.copied += 0 if in_place and _computes_in_place(func) else sum(x.numel() for x in new)
            self.refused = self.refused or self.copied > MOST_COPIED

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch's compiler would be loaded, which takes longer than a short run


class _Watch(TorchFunctionMode):
    """Looks for values that leave for Python: operations on tensors do not show these."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", None) in ESCAPES:
            self.recorder.refused = True
        return func(*args, **(kwargs or {}))


def _into(func: Any, args: Any, settings: dict[str, Any], results: list[Tensor | None]) -> Call:
    """Return a call that writes where `func` has just put its results."""
    variant = _out_variant(func)
    assert variant is not None
    names = [a.name for a in variant._schema.arguments if a.is_out]
    places = results if len(names) == len(results) else [results]  # one argument may take a list
    return Call(variant._op, args, settings | dict(zip(names, places, strict=True)))


def _copied(func: Any, args: Any, settings: dict[str, Any], results: list[Tensor | None]) -> Call:
    """Return a call that computes anew and copies to where `func` has just put its results."""

    def compute_and_copy(*args: Any, **settings: Any) -> None:
        result = func(*args, **settings)
        for old, new in zip(results, result if isinstance(result, tuple | list) else [result], strict=True):
            if old is not None:
                old.copy_(new)

    return Call(compute_and_copy, args, settings)


@cache
def _out_variant(func: Any) -> Any | None:
    """Return the overload of an operation that writes its results into tensors that it is given."""
    wanted = [(a.name, str(a.type)) for a in func._schema.arguments]
    for name in func.overloadpacket.overloads():
        variant = getattr(func.overloadpacket, name)
        arguments = variant._schema.arguments
        takes_the_same = wanted == [(a.name, str(a.type)) for a in arguments if not a.is_out]
        if takes_the_same and sum(a.is_out for a in arguments) == len(func._schema.returns):
            return variant
    return None


@cache
def _computes_in_place(func: Any) -> bool:
    """Whether that overload computes there, instead of copying its results to it."""
    variant = _out_variant(func)
    return variant is not None and torch._C._dispatch_has_kernel_for_dispatch_key(variant.name(), "CPU")


@cache
def _writes(func: Any) -> bool:
    """Whether an operation changes one of its arguments."""
    return any(a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments)


def _tensors(args: Any) -> list[Tensor]:
    return [x for arg in args for x in (arg if isinstance(arg, tuple | list) else (arg,)) if isinstance(x, Tensor)]
