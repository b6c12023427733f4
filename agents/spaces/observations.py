"""Observations as trees: one array, or a dict of them, treated alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

Arrays = np.ndarray[Any, Any] | dict[str, np.ndarray[Any, Any]]
Tensors = torch.Tensor | dict[str, torch.Tensor]


def each(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply `function` to every array of `tree`, together with those at the same place in `others`."""
    if isinstance(tree, dict):
        return {key: function(tree[key], *(other[key] for other in others)) for key in tree}
    return function(tree, *others)


def arrays(space: spaces.Space[Any], *lead: int) -> Any:
    """Return zeros for observations of `space`, each `(*lead, *shape)`."""
    if isinstance(space, spaces.Dict):
        return {key: arrays(part, *lead) for key, part in space.spaces.items()}
    return np.zeros((*lead, *(space.shape or ())), space.dtype)


def tensors(space: spaces.Space[Any], *lead: int, device: torch.device | str = "cpu") -> Any:
    """The same on a device; float64 becomes float32."""
    return each(lambda zeros: to_tensor(zeros).to(device), arrays(space, *lead))


def to_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """Return a tensor on the CPU that shares the array's memory where it can."""
    return torch.from_numpy(array.astype(np.float32) if array.dtype == np.float64 else array)


def to_device(observations: Any, device: torch.device) -> Any:
    """Return observations as tensors on `device`."""
    if device.type == "cpu":
        return each(to_tensor, observations)
    return each(lambda array: to_tensor(array).to(device, non_blocking=True), observations)


def put(target: Any, index: Any, values: Any) -> None:
    """Write `values` to `target[index]`, for every array."""
    if isinstance(target, dict):
        for key, into in target.items():
            put(into, index, values[key])
    else:
        target[index] = values


def misfit(space: spaces.Space[Any], observation: Any) -> str | None:
    """Return how an observation differs from its space, or None if it fits.

    Its shape must be that of the space, because NumPy would repeat a smaller one. Integers must stay the same in the
    type of the space: floats in [0, 1] would all become 0 in a space of bytes. Values of Discrete, MultiDiscrete and
    MultiBinary must lie in the space. Bounds of a Box are not checked: many environments exceed theirs a little.
    """
    if isinstance(space, spaces.Dict):
        if not isinstance(observation, dict) or not space.spaces.keys() <= observation.keys():
            found = sorted(observation) if isinstance(observation, dict) else type(observation).__name__
            return f"of {found}, where its space has {sorted(space.spaces)}"
        parts = ((key, misfit(part, observation[key])) for key, part in space.spaces.items())
        return next((f"whose {key!r} is {wrong}" for key, wrong in parts if wrong), None)
    if space.shape is None or space.dtype is None:  # a Tuple has neither
        return None
    try:
        seen = np.asarray(observation)
    except ValueError:  # lists of different lengths
        return f"of no regular shape, where its space has {space.shape}"
    if seen.shape != space.shape:
        return f"of shape {seen.shape}, where its space has {space.shape}"
    if seen.dtype.kind not in "biuf":
        return f"of type {seen.dtype}, where its space has {space.dtype}"
    if seen.dtype != space.dtype and space.dtype.kind in "biu":
        with np.errstate(invalid="ignore"):
            changed = seen.astype(space.dtype) != seen
        if changed.any():
            return f"of type {seen.dtype}, whose values its space of {space.dtype} cannot hold"
    if not isinstance(space, spaces.Box) and not _inside(space, seen):
        return f"of the value {seen}, where its space is {space}"
    return None


def _inside(space: spaces.Space[Any], seen: np.ndarray[Any, Any]) -> bool:
    """Whether integers lie in a space of integers."""
    low: Any = 0
    if isinstance(space, spaces.MultiBinary):
        high: Any = 1
    elif isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        low, count = space.start, space.n if isinstance(space, spaces.Discrete) else space.nvec
        high = low + count - 1
    else:
        return True
    return bool(((seen >= low) & (seen <= high)).all())


def fitted(space: spaces.Space[Any], observation: Any) -> Any:
    """Return an observation that fits as arrays of the types of its space, the same wherever it comes from."""
    if isinstance(space, spaces.Dict):
        return {key: fitted(part, observation[key]) for key, part in space.spaces.items()}
    return observation if space.dtype is None else np.asarray(observation, space.dtype)


def at(tree: Any, index: Any) -> Any:
    """Return `tree[index]`, for every array."""
    return each(lambda array: array[index], tree)


def rows_of(observations: Any) -> int:
    """Return `B` of observations `(B, *shape)`."""
    return len(next(iter(observations.values())) if isinstance(observations, dict) else observations)


def stack(observations: list[Any]) -> Any:
    """Return observations of single environments as a batch `(B, *shape)`."""
    return each(lambda *parts: np.stack(parts), observations[0], *observations[1:])


def alike(one: Any, other: Any) -> bool:
    """Whether two observations, states of generators, or other nested values are equal, number by number."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(np.array_equal(one, other))
