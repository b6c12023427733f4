"""CUDA graphs of the pretended device: while one is captured nothing is computed, and a replay computes what was noted,
from and into the same memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
CHANGE_ARGUMENTS = frozenset({aten.native_batch_norm, aten._native_batch_norm_legit})
"""Operations that change arguments of which their schema does not say so."""

_captured: list[Graph] = []


class Stream:
    """All streams are one."""

    device = torch.device("cuda", 0)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def wait_stream(self, other: Stream) -> None: ...

    def is_capturing(self) -> bool:
        return bool(_captured)


class Graph:
    """What `torch.cuda.CUDAGraph` is."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, dict[str, Any], list[Tensor]]] = []

    def note(self, func: Any, args: list[Any], settings: dict[str, Any], *, crosses: bool) -> Any:
        """Note an operation on the tensors that the CPU holds; return what it would return, with any numbers in it.

        Raises RuntimeError where CUDA cannot capture it. `crosses` says whether tensors of the CPU take part.
        """
        given = _tensors([*args, *settings.values()])
        if crosses or {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}.intersection(func.tags):
            raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({func})")
        if any(a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments):
            self.calls.append((func, args, settings, []))
            return args[0] if func._schema.returns else None
        safe = [x.clone() if isinstance(x, Tensor) and func.overloadpacket in CHANGE_ARGUMENTS else x for x in args]
        result = func(*safe, **settings)
        made = _tensors([result])
        places = {x.untyped_storage().data_ptr() for x in given}
        if not any(x.untyped_storage().data_ptr() in places for x in made if x.numel()):  # else it is a view
            self.calls.append((func, args, settings, made))
        return result

    def replay(self) -> None:
        """Compute all of it."""
        for func, args, settings, places in self.calls:
            result = func(*args, **settings)
            for place, new in zip(places, _tensors([result]), strict=False):
                place.copy_(new)


def capturing() -> Graph | None:
    """Return the graph that is captured just now."""
    return _captured[-1] if _captured else None


@contextmanager
def capture(graph: Graph, **_: Any) -> Iterator[None]:
    """What `torch.cuda.graph` is. No random numbers are drawn."""
    numbers = torch.get_rng_state()
    _captured.append(graph)
    try:
        yield
    finally:
        _captured.pop()
        torch.set_rng_state(numbers)


def _tensors(values: Any) -> list[Tensor]:
    """All tensors in nested lists and tuples."""
    if isinstance(values, Tensor):
        return [values]
    return [x for value in values for x in _tensors(value)] if isinstance(values, list | tuple) else []


SAID: dict[str, Any] = {
    "CUDAGraph": Graph,
    "graph": capture,
    "Stream": Stream,
    "stream": nullcontext,
    "current_stream": Stream,
    "set_stream": lambda _: None,
    "is_current_stream_capturing": lambda: bool(_captured),
}
"""What `torch.cuda` has."""
