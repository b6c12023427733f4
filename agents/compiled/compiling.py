"""Functions of tensors as machine code: traced from the algorithm's own page, compiled ahead of time by torch.

The trace (`make_fx`) holds the operations of the loss, of autograd's backward pass and of Adam. AOTInductor writes them
as C++ with few loops over memory, and compiles that. It needs a C++ compiler, and some ten seconds for each function.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.compiled.decompositions import DECOMPOSITIONS
from agents.compiled.listing import DRAWS

aten = torch.ops.aten


def compile_program(
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    others: Sequence[Tensor],
    drawn: Sequence[Tensor],
    file: Path,
) -> None:
    """Write `function(*inputs)` as a compiled program that takes inputs, others, random numbers and places of outputs.

    The function runs once, and may change `others`.

    Args:
        function: of the tensors `inputs` alone, in this order.
        inputs: examples; the program takes tensors of the same shapes and types.
        others: tensors that the function reads or changes in place.
        drawn: results of the function's draws of random numbers, in their order.
        file: to write, `.pt2`.
    """
    from torch._inductor import aoti_compile_and_package, config
    from torch.fx.experimental.proxy_tensor import make_fx

    numbers = [x.detach().clone() for x in drawn]
    rest = iter(numbers)
    table: dict[Any, Callable[..., Any]] = {**DECOMPOSITIONS}
    for draw in DRAWS:
        table[draw] = (lambda x, *_, **__: x.copy_(next(rest))) if _in_place(draw) else lambda *_, **__: next(rest)
    graph = make_fx(lambda *given: tuple(x.detach() for x in function(*given)), decomposition_table=table)(*inputs)
    outputs = _lift(graph, [*others, *numbers])
    arguments = (*inputs, *others, *numbers, *(torch.empty(x.shape, dtype=x.dtype) for x in outputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(graph, arguments)
        # Torch keeps compiled headers in a folder of the system's that others may have made before.
        with config.patch({"aot_inductor.precompile_headers": False, "cpp_cache_precompile_headers": False}):
            aoti_compile_and_package(exported, package_path=str(file))


def _lift(graph: torch.fx.GraphModule, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Make the tensors that the graph refers to its arguments, and let it write its outputs to arguments as well.

    Return examples of the outputs.
    """
    nodes = graph.graph
    last = [node for node in nodes.nodes if node.op == "placeholder"][-1:]
    places: dict[int, torch.fx.Node] = {}
    with nodes.inserting_after(last[0]) if last else nodes.inserting_before(next(iter(nodes.nodes))):
        for number in reversed(range(len(tensors))):
            places[number] = nodes.placeholder(f"other_{number}")
    known = {_same(x): number for number, x in reversed(list(enumerate(tensors)))}
    lifted: set[str] = set()
    for node in [node for node in nodes.nodes if node.op == "get_attr"]:
        found = known.get(_same(getattr(graph, node.target)))
        if found is not None:
            node.replace_all_uses_with(places[found])
            nodes.erase_node(node)
            lifted.add(node.target)
    for name in lifted:  # else the program would have them twice
        delattr(graph, name)
    (end,) = (node for node in nodes.nodes if node.op == "output")
    results = end.args[0]
    with nodes.inserting_after(places[len(tensors) - 1] if tensors else last[0]):
        targets = [nodes.placeholder(f"output_{number}") for number in reversed(range(len(results)))][::-1]
    with nodes.inserting_before(end):
        for place, result in zip(targets, results, strict=True):
            nodes.call_function(aten.copy_.default, (place, result))
    end.args = ((),)
    graph.recompile()
    return [result.meta["val"] for result in results]


def _same(x: Tensor) -> tuple[Any, ...]:
    return (x.untyped_storage()._cdata, x.storage_offset(), tuple(x.shape), x.stride())


def _in_place(func: Any) -> bool:
    return bool(func._schema.name.endswith("_"))
