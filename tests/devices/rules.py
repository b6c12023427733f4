"""What CUDA refuses, by the operation and the places of its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

CROSSING = frozenset({aten.copy_, aten._foreach_copy_})
"""Operations that take tensors of several devices."""
INDEXED = frozenset({aten.index, aten._unsafe_index, aten.index_put, aten.index_put_, aten._index_put_impl_})
"""Operations on the device's tensors whose indices may lie on the CPU."""
WITH_NUMBERS = frozenset(
    {aten.masked_fill, aten.masked_fill_, aten.index_fill, aten.index_fill_, aten.fill, aten.fill_, aten.where}
    | {aten._foreach_mul_, aten._foreach_mul, aten._foreach_add_, aten._foreach_add, *INDEXED}
)
"""Operations, besides those of single numbers, that take tensors without axes from the CPU as numbers."""
ON_CPU_ONLY = frozenset({aten.histogram, aten.histogramdd, aten._histogramdd_bin_edges, aten._histogramdd_from_bin_cts})
"""Operations that CUDA lacks."""
PRODUCTS = frozenset({aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.mv, aten.addmv, aten.dot})
"""Operations that CUDA has for floating-point numbers alone."""
PAIRS_WITH_LENGTHS = aten._pack_padded_sequence
"""Takes the lengths from the CPU."""


def refuse(func: Any, args: Any, found: Sequence[Tensor]) -> None:
    """Raise the RuntimeError or NotImplementedError with which CUDA would refuse these arguments.

    Args:
        func: the operation.
        args: its arguments.
        found: all tensors among them, of which one at least is on the device.
    """
    packet = func.overloadpacket
    if packet in ON_CPU_ONLY:
        raise NotImplementedError(f"Could not run '{func}' with arguments from the 'CUDA' backend.")
    if packet in PRODUCTS and not found[0].is_floating_point() and not found[0].is_complex():
        raise RuntimeError(f'"{packet.__name__}_cuda" not implemented for {found[0].dtype}')
    if packet is PAIRS_WITH_LENGTHS:
        if args[1].is_cuda:
            raise RuntimeError("'lengths' argument should be a 1D CPU int64 tensor, but got 1D cuda:0 Long tensor")
        return
    if func is aten._fused_adam_.tensor_lr and found[-1].dtype != torch.float32:  # see _fused_adam_cuda_impl_
        raise RuntimeError(f"expected scalar type Float but found {found[-1].dtype}")
    strangers = [x for x in found if not x.is_cuda]
    if not strangers or packet in CROSSING:
        return
    if packet in INDEXED and args[0].is_cuda:
        strangers = [x for x in strangers if not any(x is one for one in args[1])]
    if torch.Tag.pointwise in func.tags or packet in WITH_NUMBERS:
        kept = func._schema.arguments[0].alias_info  # a number may stand before a tensor, but not take its values
        if found[0].is_cuda or not (found[0].ndim or (kept and kept.is_write)):
            strangers = [x for x in strangers if x.ndim]
    if strangers:
        places = ", ".join(f"{tuple(x.shape)} on {x.device}" for x in found)
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! "
            f"({func}: {places})"
        )
