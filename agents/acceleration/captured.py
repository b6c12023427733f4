"""Functions of tensors that are run a few times, and from then on repeated without Python, autograd or new memory.

A gradient step of a small network is some thirty operations of a few microseconds each, and putting them together anew
takes Python and autograd longer than they do themselves. Which they are does not change from step to step. So the first
call notes them down while it runs them, with the tensors they read and write (`tape.py`); the next ones prove
that repeating them is the same, to the last bit; later calls fill in the new inputs and run the same list. On a GPU,
CUDA graphs do that in hardware.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import is_
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from agents.acceleration.tape import Call, record
from agents.spaces.observations import Tensors, each

Capture = Literal["auto", "always", "never"]
"""Whether functions are captured: `auto` does so on the CPU; `always` also on a GPU, which has not been tried yet."""

Input = Tensors | float
Function = Callable[..., Sequence[Tensor]]

MOST = 4
"""Sets of shapes that are kept; those that come later are computed as if nothing were captured."""

PROOFS = 4
"""Calls in which a repetition is compared with the function: some of torch's formulas take another way while they are
noted down, which shows in the last bit now and then."""

MOST_RENEWED = 8
"""Times that a function is captured anew; what changes all the time is not worth it."""

WARM_UP = 3
"""Calls on a GPU before one is captured: libraries prepare themselves in the first ones."""

PLAIN = (bool, int, float, str, bytes)
"""What cannot be changed in place: another object of the same value is the same."""


class Captured:
    """`function(*inputs) -> outputs`, repeated after its first calls for inputs of the same shapes.

    The outputs are the same tensors each time, without gradients, and are overwritten by the next call. What the
    function reads besides its inputs, such as weights, must be changed in place. Random numbers of torch are drawn
    anew each time. Where its Python is seen to matter, every call runs the function itself: operations whose result has
    a shape of its own, numbers taken out of tensors, random numbers of Python and NumPy, attributes of the module that
    the function sets, and all else that makes its next calls differ from repetitions of the first one.

    Args:
        function: takes tensors, dicts of them and numbers (which it sees as tensors), returns a tuple of tensors.
        module: all of whose weights, buffers and attributes it may read.
        device: of all of them.
        wish: whether to capture where that can be done.
    """

    def __init__(self, function: Function, module: nn.Module, device: torch.device, wish: Capture = "auto") -> None:
        self.function, self.module, self.device = function, module, device
        self.wished = wish != "never" and (device.type == "cpu" or (device.type == "cuda" and wish == "always"))
        self.programs: dict[Any, Program | Graph | None] = {}
        self.proven: dict[Any, Program | Graph] = {}
        self.renewed = 0
        self.warm_up = WARM_UP if device.type == "cuda" else 0
        self.dicts: list[dict[str, Any]] = []
        self.known: list[Any] = [self]

    def renew(self, *constants: Any) -> None:
        """Begin anew if the module's attributes, the weights that are trained, or `constants`, which are what else the
        function reads, have changed since the last call of this method."""
        if self.wished and not _same([*constants, *_attributes(self.dicts)], self.known):
            self.dicts = _dicts(self.module)
            self.known = [*constants, *_attributes(self.dicts)]
            self.programs.clear()
            self.proven.clear()
            self.renewed += 1
            self.wished = self.renewed <= MOST_RENEWED

    def __call__(self, *inputs: Input) -> Sequence[Tensor]:
        if not self.wished:
            return self.function(*inputs)
        shapes = tuple(map(_shapes, inputs))
        program = self.proven.get(shapes)
        return self._learn(shapes, inputs) if program is None else program(*inputs)

    def _learn(self, shapes: Any, inputs: Sequence[Input]) -> Sequence[Tensor]:
        """One of the first calls."""
        if (program := self.programs.get(shapes)) is not None:
            return self._prove(shapes, program, inputs)
        if self.warm_up:
            self.warm_up -= 1
            return self.function(*inputs)
        if shapes in self.programs or len(self.programs) == MOST:
            return self.function(*inputs)
        self.programs[shapes] = None
        own = [self._own(x) for x in inputs]
        if self.device.type == "cuda":
            self.programs[shapes] = graph = Graph(self.function, own)
            return self._prove(shapes, graph, inputs)
        before, setting = State(self.module, self.device), _surroundings(self.module)
        try:
            tape = record(self.function, own)
        except Exception:  # nothing that can be recorded, or the function's own: then it comes again
            before.restore()
            return self.function(*inputs)
        if not tape.faithful:
            before.restore()
            return self.function(*inputs)
        if tape.calls is not None and _same(setting, _surroundings(self.module)):
            self.programs[shapes] = Program(own, tape.calls, tape.outputs, tape.memory)
        return tape.outputs

    def _prove(self, shapes: Any, program: Program | Graph, inputs: Sequence[Input]) -> Sequence[Tensor]:
        """Run the program, then undo that and run the function; trust the program if nothing differs."""
        self.programs[shapes] = None
        before, setting = State(self.module, self.device, program.memory), _surroundings(self.module)
        try:
            repeated = [x.clone() for x in program(*inputs)]
        except Exception:  # operations with results that are no ordinary tensors
            before.restore()
            return self.function(*inputs)
        after = State(self.module, self.device)
        before.restore()
        outputs = self.function(*inputs)
        close = torch.allclose if self.device.type == "cuda" else torch.equal
        same = len(outputs) == len(repeated) and all(map(close, outputs, repeated))
        if same and after.is_now(close) and _same(setting, _surroundings(self.module)):
            self.programs[shapes] = program
            program.proofs += 1
            if program.proofs == PROOFS:
                self.proven[shapes] = program
        return outputs

    def _own(self, given: Input) -> Tensors:
        if isinstance(given, int | float):
            return torch.tensor(given, dtype=torch.float64, device=self.device)
        return each(torch.clone, given)  # type: ignore[no-any-return]


class Program:
    """Operations in their order, from inputs at fixed places to outputs at fixed places."""

    def __init__(
        self, inputs: list[Tensors], calls: list[Call], outputs: Sequence[Tensor], memory: list[Tensor]
    ) -> None:
        self.inputs, self.calls, self.memory, self.proofs = inputs, calls, memory, 0
        self.outputs = tuple(output.detach() for output in outputs)

    def __call__(self, *inputs: Input) -> Sequence[Tensor]:
        with torch.no_grad():
            _fill(self.inputs, inputs)
            for operation, arguments, settings in self.calls:
                operation(*arguments, **settings)
        return self.outputs


class Graph:
    """The same on a GPU: a CUDA graph. To capture it computes nothing."""

    memory: Sequence[Tensor] = ()

    def __init__(self, function: Function, inputs: list[Tensors]) -> None:
        self.inputs, self.graph, self.proofs = inputs, torch.cuda.CUDAGraph(), 0
        with torch.cuda.graph(self.graph):
            self.outputs = tuple(output.detach() for output in function(*inputs))

    def __call__(self, *inputs: Input) -> Sequence[Tensor]:
        with torch.no_grad():
            _fill(self.inputs, inputs)
        self.graph.replay()
        return self.outputs


class State:
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
        """Whether everything is what it was."""
        there = [get() for get, _ in self._generators()]
        return all(map(same, self.tensors, self.copies)) and all(map(torch.equal, there, self.numbers))

    def _generators(self) -> Iterator[tuple[Callable[[], Tensor], Callable[[Tensor], None]]]:
        yield torch.get_rng_state, torch.set_rng_state
        if self.device.type == "cuda":
            yield torch.cuda.get_rng_state, torch.cuda.set_rng_state


def _dicts(module: nn.Module) -> list[dict[str, Any]]:
    """Where the attributes of the module and of those inside are."""
    return [d for part in module.modules() for d in (vars(part), part._parameters, part._buffers, part._modules)]


def _attributes(dicts: list[dict[str, Any]]) -> list[Any]:
    """Everything that a module consists of, and which weights are trained."""
    found = list(chain.from_iterable(map(dict.values, dicts)))
    return found + [x.requires_grad for x in found if type(x) is nn.Parameter]


def _surroundings(module: nn.Module) -> list[Any]:
    """The attributes, and where the random numbers of Python and NumPy are."""
    _, keys, position, *_ = np.random.get_state()
    return [*_attributes(_dicts(module)), hash(random.getstate()), bytes(keys), position]  # type: ignore[arg-type]


def _same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether these are the same objects, or equal where they cannot be changed."""
    if len(some) != len(others):
        return False
    if all(map(is_, some, others)):
        return True
    return all(
        a is b or (type(a) in PLAIN and type(a) is type(b) and a == b) for a, b in zip(some, others, strict=True)
    )


def _fill(inputs: list[Tensors], given: Sequence[Input]) -> None:
    for mine, new in zip(inputs, given, strict=True):
        if isinstance(new, Tensor):
            mine.copy_(new)  # type: ignore[union-attr]
        elif isinstance(new, dict):
            each(Tensor.copy_, mine, new)
        else:
            mine.fill_(new)  # type: ignore[union-attr]


def _shapes(given: Input) -> Any:
    if isinstance(given, Tensor):
        return given.shape
    return tuple(x.shape for x in given.values()) if isinstance(given, dict) else float
