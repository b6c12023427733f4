"""Functions of tensors that are run once, and from then on repeated without Python, autograd or new memory.

A gradient step of a small network is some thirty operations of a few microseconds each, and putting them together anew
takes Python and autograd longer than they do themselves. Which they are does not change from step to step. So the first
call notes them down while it runs them, with the tensors they read and write; later calls fill in the new inputs and
run the same list. On a GPU, CUDA graphs do that in hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from agents.observations import Tensors, each

Capture = Literal["auto", "always", "never"]
"""Whether functions are captured: `auto` does so on the CPU; `always` also on a GPU, which has not been tried yet."""

Input = Tensors | float

MOST = 4
"""Sets of shapes that are kept; those that come later are computed as if nothing were captured."""

WARM_UP = 3
"""Calls on a GPU before one is captured: libraries prepare themselves in the first ones."""

MOST_COPIED = 100_000
"""Numbers that a program may copy from where an operation, such as a convolution, has put them itself: beyond that the
copies take longer than what a program saves."""

ESCAPES = frozenset(
    {"tolist", "numpy", "__array__", "item", "__bool__", "__int__", "__float__", "__index__", "data_ptr"}
)
"""Ways from a tensor's values into Python that are no operation; what follows could depend on them."""


def captured(
    function: Callable[..., Sequence[Tensor]], device: torch.device, wish: Capture
) -> Callable[..., Sequence[Tensor]]:
    """Return `function` captured where that is wished for and can be done, else as it is."""
    can = device.type == "cpu" or (device.type == "cuda" and wish == "always")
    return Captured(function, device) if can and wish != "never" else function


class Captured:
    """`function(*inputs) -> outputs`, repeated from its second call on for inputs of the same shapes.

    The outputs are the same tensors each time, without gradients, and are overwritten by the next call. What the
    function reads besides its inputs, such as weights, must be changed in place. Its Python runs once: whatever that
    decides from the values of tensors cannot be repeated, and where it is seen to do so (operations whose result has
    a shape of its own, numbers taken out of tensors) every call runs the function itself. Random numbers are drawn
    anew each time.

    Args:
        function: takes tensors, dicts of them and numbers (which it sees as tensors), returns a tuple of tensors.
        device: of all of them.
    """

    def __init__(self, function: Callable[..., Sequence[Tensor]], device: torch.device) -> None:
        self.function, self.device = function, device
        self.programs: dict[Any, Program | Graph | None] = {}
        self.warm_up = WARM_UP if device.type == "cuda" else 0

    def __call__(self, *inputs: Input) -> Sequence[Tensor]:
        shapes = tuple(map(_shapes, inputs))
        program = self.programs.get(shapes)
        if program is not None:
            return program(*inputs)
        if self.warm_up:
            self.warm_up -= 1
            return self.function(*inputs)
        if shapes in self.programs or len(self.programs) == MOST:
            return self.function(*inputs)
        own = [self._own(x) for x in inputs]
        if self.device.type == "cuda":
            graph = self.programs[shapes] = Graph(self.function, own)
            return graph(*inputs)
        tape, outputs = _record(self.function, own)
        self.programs[shapes] = None if tape.refused else Program(own, tape.calls, outputs)
        return outputs

    def _own(self, given: Input) -> Tensors:
        if isinstance(given, int | float):
            return torch.tensor(given, dtype=torch.float64, device=self.device)
        return each(torch.clone, given)  # type: ignore[no-any-return]


class Call(NamedTuple):
    """Of an operation, writing into the tensors it wrote into when it was recorded."""

    operation: Callable[..., Any]
    arguments: tuple[Any, ...]
    settings: dict[str, Any]


class Program:
    """Operations in their order, from inputs at fixed places to outputs at fixed places."""

    def __init__(self, inputs: list[Tensors], calls: list[Call], outputs: Sequence[Tensor]) -> None:
        self.inputs, self.calls = inputs, calls
        self.outputs = tuple(output.detach() for output in outputs)

    def __call__(self, *inputs: Input) -> Sequence[Tensor]:
        with torch.no_grad():
            _fill(self.inputs, inputs)
            for operation, arguments, settings in self.calls:
                operation(*arguments, **settings)
        return self.outputs


class Graph:
    """The same on a GPU: a CUDA graph. Capturing computes nothing, so the call that captures is repeated at once."""

    def __init__(self, function: Callable[..., Sequence[Tensor]], inputs: list[Tensors]) -> None:
        self.inputs, self.graph = inputs, torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = tuple(output.detach() for output in function(*inputs))

    def __call__(self, *inputs: Input) -> Sequence[Tensor]:
        with torch.no_grad():
            _fill(self.inputs, inputs)
        self.graph.replay()
        return self.outputs


def _fill(inputs: list[Tensors], given: Sequence[Input]) -> None:
    for mine, new in zip(inputs, given, strict=True):
        if isinstance(new, Tensor):
            mine.copy_(new)  # type: ignore[union-attr]
        elif isinstance(new, dict):
            each(Tensor.copy_, mine, new)
        else:
            mine.fill_(new)  # type: ignore[union-attr]


def _record(function: Callable[..., Sequence[Tensor]], inputs: list[Tensors]) -> tuple[_Tape, Sequence[Tensor]]:
    tape = _Tape()
    with _Watch(tape), tape:
        outputs = function(*inputs)
    return tape, outputs


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes down every operation, those of autograd's backward pass included, and runs it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.refused, self.copied = False, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        settings = kwargs or {}
        if func is RELU:  # cannot write into a tensor that it is given, and this can
            func, args = torch.ops.aten.clamp_min.default, (*args, 0)
        result = func(*args, **settings)
        results = list(result) if isinstance(result, tuple | list) else [result]
        tensors = [x for x in results if x is not None]
        if torch.Tag.dynamic_output_shape in func.tags or not all(isinstance(x, Tensor) for x in tensors):
            self.refused = True
        elif _writes(func):
            self.calls.append(Call(func._op, args, settings))
        elif not _shares_memory(tensors, args) and func.overloadpacket not in EMPTY:
            self.calls.append(_into(func, args, settings, results))
            self.copied += 0 if _in_place(func) else sum(x.numel() for x in tensors)
            self.refused = self.refused or self.copied > MOST_COPIED
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch's compiler would be loaded, which takes longer than a short run


class _Watch(TorchFunctionMode):
    """Looks for values that leave for Python: operations on tensors do not show these."""

    def __init__(self, tape: _Tape) -> None:
        super().__init__()
        self.tape = tape

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", None) in ESCAPES:
            self.tape.refused = True
        return func(*args, **(kwargs or {}))


RELU = torch.ops.aten.relu.default
EMPTY = frozenset({torch.ops.aten.empty_like, torch.ops.aten.empty, torch.ops.aten.new_empty})
"""Give memory, and compute nothing."""


def _into(func: Any, args: Any, settings: dict[str, Any], results: list[Tensor | None]) -> Call:
    """Return a call that writes where `func` has just put its results."""
    if (variant := _out_variant(func)) is not None and all(x is not None for x in results):
        names = [a.name for a in variant._schema.arguments if a.is_out]
        return Call(variant._op, args, settings | dict(zip(names, results, strict=True)))

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
def _in_place(func: Any) -> bool:
    """Whether that overload computes there, instead of copying its results to it."""
    variant = _out_variant(func)
    return variant is not None and torch._C._dispatch_has_kernel_for_dispatch_key(variant.name(), "CPU")


@cache
def _writes(func: Any) -> bool:
    """Whether an operation changes one of its arguments."""
    return any(a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments)


def _shares_memory(results: list[Tensor], args: Any) -> bool:
    """Whether results are views of arguments: those need no repeating."""
    given = {x.untyped_storage()._cdata for x in _tensors(args)}
    return any(x.untyped_storage()._cdata in given for x in results)


def _tensors(args: Any) -> list[Tensor]:
    return [x for arg in args for x in (arg if isinstance(arg, tuple | list) else (arg,)) if isinstance(x, Tensor)]


def _shapes(given: Input) -> Any:
    if isinstance(given, Tensor):
        return given.shape
    return tuple(x.shape for x in given.values()) if isinstance(given, dict) else float
