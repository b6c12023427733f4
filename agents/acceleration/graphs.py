"""CUDA graphs: all operations of a function, launched together without Python. They have not been run on a GPU yet.

What torch's notes on CUDA ask of a capture is kept here: the function runs a few times before, on the stream that
captures it, because libraries prepare themselves in their first calls; no tensor of the CPU takes part, since a graph
repeats the number that it held; and other threads may use the GPU meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from agents.acceleration.programs import Input

Function = Callable[..., Sequence[Tensor]]

VALUES_LEAVE = frozenset({torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output})
"""Of operations whose result the CPU waits for: a number taken out of a tensor, or a shape that depends on values."""


class Graph:
    """A function as a CUDA graph, from inputs at fixed places to outputs at fixed places. Capturing computes nothing.

    Args:
        function: see `Captured`; a `Watch` has seen nothing that cannot be captured.
        given: its inputs, whose tensors are at these places.
        inputs: the places.
        stream: on which the function has run before.
    """

    memory: Sequence[Tensor] = ()

    def __init__(
        self, function: Function, given: Sequence[Input], inputs: list[Tensor], stream: torch.cuda.Stream
    ) -> None:
        self.inputs, self.graph, self.proofs = inputs, torch.cuda.CUDAGraph(), 0
        before = torch.cuda.current_stream(stream.device)
        try:
            with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                self.outputs = tuple(output.detach() for output in function(*given))
        finally:
            torch.cuda.set_stream(before)  # torch stays on the other one where a capture fails

    def __call__(self, leaves: Sequence[Tensor | float]) -> Sequence[Tensor]:
        with torch.no_grad():
            for place, new in zip(self.inputs, leaves, strict=True):
                if isinstance(new, Tensor):
                    place.copy_(new)
                else:
                    place.fill_(new)
        self.graph.replay()
        return self.outputs


@contextmanager
def on_stream(stream: torch.cuda.Stream) -> Iterator[None]:
    """Run the block on another stream, after what is on the present one, which goes on after it."""
    before = torch.cuda.current_stream(stream.device)
    stream.wait_stream(before)
    with torch.cuda.stream(stream):
        yield
    before.wait_stream(stream)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees whether what runs in its block can be captured: `refused` is true where a value leaves for the CPU, or a
    tensor of another device takes part."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device, self.refused = device, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        settings = kwargs or {}
        result = func(*args, **settings)
        if func.namespace != "profiler":
            leaves = bool(VALUES_LEAVE.intersection(func.tags))
            self.refused = self.refused or leaves or self._elsewhere([args, list(settings.values()), result])
        return result

    def _elsewhere(self, value: Any) -> bool:
        if isinstance(value, Tensor):
            return value.device.type != self.device.type
        return isinstance(value, list | tuple) and any(map(self._elsewhere, value))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch's compiler would be loaded, which takes longer than a short run
