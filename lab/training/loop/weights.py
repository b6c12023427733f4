"""Copies of weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights and buffers by name that share no memory with the given ones, as from `state_dict()`."""
    return {name: value.clone() for name, value in weights.items()}
