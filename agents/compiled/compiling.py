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
    from torch._inductor import aoti_compile_and_package
    from torch.fx.experimental.proxy_tensor import make_fx

    numbers = [x.detach().clone() for x in drawn]
    rest = iter(numbers)
    table: dict[Any, Callable[..., Any]] = {}
    for draw in DRAWS:
        table[draw] = (lambda x, *_, **__: x.copy_(next(rest))) if _in_place(draw) else lambda *_, **__: next(rest)
    table |= {aten._fused_adam_.default: _adam, aten._fused_adam_.tensor_lr: _adam, aten._foreach_norm.Scalar: _norms}
    graph = make_fx(lambda *given: tuple(x.detach() for x in function(*given)), decomposition_table=table)(*inputs)
    outputs = _lift(graph, [*others, *numbers])
    arguments = (*inputs, *others, *numbers, *(torch.empty(x.shape, dtype=x.dtype) for x in outputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(graph, arguments)
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


def _norms(tensors: list[Tensor], order: float = 2, dtype: Any = None) -> list[Tensor]:
    if order != 2 or dtype is not None:
        raise NotImplementedError("only the Euclidean norm is compiled")
    return [x.square().sum().sqrt() for x in tensors]


def _adam(
    weights: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    largest: list[Tensor],
    steps: list[Tensor],
    *,
    lr: Tensor | float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """Take a step of Adam (Kingma & Ba 2015, algorithm 1), as torch's fused kernel does."""
    if weight_decay or amsgrad or maximize or grad_scale is not None or found_inf is not None:
        raise NotImplementedError("only plain Adam is compiled")
    for w, g, m, v, step in zip(weights, gradients, means, squares, steps, strict=True):
        m.copy_(m + (g - m) * (1 - beta1))
        v.copy_(v * beta2 + g * g * (1 - beta2))
        first, second = 1 - beta1**step, 1 - beta2**step
        w.copy_(w - (lr / first) * m / (v.sqrt() / second.sqrt() + eps))
