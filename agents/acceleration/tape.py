"""The operations that a function of tensors consists of, noted down while it runs, to be run again in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from agents.compiled.listing import Listing

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

CONSTANTS = frozenset(
    {aten.ones_like, aten.zeros_like, aten.full_like, aten.scalar_tensor, aten.ones, aten.zeros, aten.full}
    | {aten.new_zeros, aten.new_ones, aten.new_full, aten.arange}
)
"""Give the same values each time. What is computed from constants alone is constant too, and is not repeated."""

RESIZES = frozenset({aten.mse_loss})
"""Resize the tensor that they write into, with a warning."""

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
        calls: its operations in their order; None where they cannot be repeated, or where that does not pay.
        pure: whether it is the same operations each time, whatever the values.
        faithful: whether they have computed what they do when nobody listens, to the last bit.
        memory: where their results lie, which belongs to the tape from now on.
        outputs: of the function.
    """

    calls: list[Call] | None
    pure: bool
    faithful: bool
    memory: list[Tensor]
    outputs: Sequence[Tensor]


class _Noted(NamedTuple):
    """A call with the memory that it reads and writes, of which it fills `constant` with constants."""

    call: Call
    reads: frozenset[int]
    writes: frozenset[int]
    constant: frozenset[int]
    always: bool
    """Whether it does more than write into the tape's own memory: it changes a weight, or draws random numbers."""


def record(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Any], listing: Listing | None = None) -> Tape:
    """Run a function and note down what it does; `listing`, if given, notes it down as text."""
    recorder = _Recorder(listing)
    with _Watch(recorder), recorder:
        outputs = function(*inputs)
    places = frozenset(map(_place, outputs))
    recorder.overwritten |= places  # by whoever gets them
    calls = None if recorder.refused or recorder.copied > MOST_COPIED else recorder.calls(places)
    return Tape(calls, not recorder.refused, not recorder.otherwise, recorder.memory, outputs)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes down every operation, those of autograd's backward pass included, and runs it."""

    def __init__(self, listing: Listing | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.listing = listing
        self.noted: list[_Noted] = []
        self.memory: list[Tensor] = []
        self.own: set[int] = set()  # the same memory, by number
        self.constant: set[int] = set()  # memory that holds constants
        self.overwritten: set[int] = set()  # memory that held constants until something was written there
        self.refused, self.otherwise, self.copied = False, False, 0

    def calls(self, outputs: frozenset[int]) -> list[Call]:
        """Return the calls to repeat: all but those that only give constants, and those whose results nothing reads,
        such as the value of a loss whose derivative is all that is wanted."""
        read, found = set(outputs), []
        for noted in reversed(self.noted):
            fixed = bool(noted.constant) and not noted.constant & self.overwritten
            if not fixed and (noted.always or noted.writes & read):
                read |= noted.reads
                found.append(noted.call)
        return found[::-1]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        settings = kwargs or {}
        if func.namespace == "profiler":  # an optimizer's step is marked for profilers; this computes nothing
            return func(*args, **settings)
        if func is RELU:  # cannot write into a tensor that it is given, and this can
            func, args = aten.clamp_min.default, (*args, 0)
        result = func(*args, **settings)
        results = list(result) if isinstance(result, tuple | list) else [result]
        if self.listing is not None:
            self.listing.add(func, args, settings, results)
        self.otherwise = self.otherwise or func.overloadpacket in ROUNDED_OTHERWISE
        tensors = [x for x in results if x is not None]
        own_shape = torch.Tag.dynamic_output_shape in func.tags
        if self.otherwise or own_shape or not all(isinstance(x, Tensor) for x in tensors):
            self.refused = True
        else:
            self._note(func, args, settings, results)
        return result

    def _note(self, func: Any, args: Any, settings: dict[str, Any], results: list[Tensor | None]) -> None:
        read = _tensors([*args, *settings.values()])
        given = frozenset(map(_place, read))
        new = [x for x in results if x is not None and _place(x) not in given]
        self.memory += new
        self.own |= set(map(_place, new))
        changed = frozenset(map(_place, _written(func, args, settings) if _writes(func) else ()))
        self.overwritten |= changed & self.constant
        self.constant -= changed
        always = not changed <= self.own or torch.Tag.nondeterministic_seeded in func.tags
        if not new:  # in place, or views of arguments, which need no repeating
            if changed:
                self.noted.append(_Noted(Call(func._op, args, settings), given, changed, frozenset(), always))
        elif func.overloadpacket not in EMPTY:
            in_place = _out_variant(func) is not None and not _writes(func) and len(new) == len(results)
            in_place = in_place and func.overloadpacket not in RESIZES
            call = (_into if in_place else _copied)(func, args, settings, results)
            written = frozenset(map(_place, new))
            constant = written if self._gives_constants(func, read) else frozenset()
            self.constant |= constant
            self.noted.append(_Noted(call, given, written | changed, constant, always))
            self.copied += 0 if in_place and _computes_in_place(func) else sum(x.numel() for x in new)

    def _gives_constants(self, func: Any, read: list[Tensor]) -> bool:
        if _writes(func) or torch.Tag.nondeterministic_seeded in func.tags:
            return False
        return func.overloadpacket in CONSTANTS or (bool(read) and all(_place(x) in self.constant for x in read))

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


@cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Return places and names of the arguments that an operation changes."""
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info is not None and a.alias_info.is_write)


def _written(func: Any, args: Any, settings: dict[str, Any]) -> list[Tensor]:
    """Return the tensors that a call changes."""
    found = [args[i] if i < len(args) else settings.get(name) for i, name in _written_arguments(func)]
    return _tensors(found)


def _place(x: Tensor) -> int:
    """Return a number for the memory that a tensor lies in."""
    return int(x.untyped_storage()._cdata)


def _tensors(args: Any) -> list[Tensor]:
    return [x for arg in args for x in (arg if isinstance(arg, tuple | list) else (arg,)) if isinstance(x, Tensor)]
