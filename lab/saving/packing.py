"""Converts nested states to JSON and tensors, and back. A checkpoint can hold nothing else, so it cannot hold code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

# JSON has no tensors, no tuples and only strings as keys: each of these is written as an object with one such key.
TENSOR, ARRAY, SCALAR, TUPLE, ITEMS, FLOAT = "$tensor", "$array", "$scalar", "$tuple", "$items", "$float"


def pack(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """Return `value` as strict JSON, and its tensors and arrays by name.

    `value` is made of dicts, lists, tuples, tensors, numpy arrays and scalars, numbers, strings, booleans and None.
    Raises TypeError for anything else.
    """
    tensors: dict[str, Tensor] = {}

    def put(tensor: Tensor, name: str) -> str:
        while name in tensors:
            name += "'"  # {"a": {"b": ...}, "a.b": ...} gives the same name twice
        tensors[name] = tensor
        return name

    def walk(value: Any, name: str) -> Any:
        if isinstance(value, Tensor):
            return {TENSOR: put(value, name)}
        if isinstance(value, str):
            return str(value)  # numpy strings are a subclass of str
        if isinstance(value, np.ndarray | np.generic):
            array = np.array(value)  # a copy, because it is written later
            return {ARRAY if isinstance(value, np.ndarray) else SCALAR: put(torch.from_numpy(array), name)}
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {FLOAT: repr(value)}
        if isinstance(value, Mapping):
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: walk(item, f"{name}.{key}".lstrip(".")) for key, item in value.items()}
            return {ITEMS: [[walk(k, name), walk(item, f"{name}.{k}".lstrip("."))] for k, item in value.items()]}
        if isinstance(value, list | tuple):
            items = [walk(item, f"{name}.{i}".lstrip(".")) for i, item in enumerate(value)]
            return {TUPLE: items} if isinstance(value, tuple) else items
        raise TypeError(f"a checkpoint cannot hold {name}, a {type(value).__name__}")

    return walk(value, ""), tensors


def unpack(plain: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Invert `pack`. Raises KeyError if a tensor is missing, ValueError for an unknown form."""
    if isinstance(plain, list):
        return [unpack(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    form = next((key for key in plain if key.startswith("$")), None)
    if form is None:
        return {key: unpack(item, tensors) for key, item in plain.items()}
    content = plain[form]
    if form == TENSOR:
        return tensors[content]
    if form == ARRAY:
        return tensors[content].numpy().copy()  # in memory that numpy has aligned
    if form == SCALAR:
        return tensors[content].numpy()[()]
    if form == TUPLE:
        return tuple(unpack(item, tensors) for item in content)
    if form == ITEMS:
        return {unpack(key, tensors): unpack(item, tensors) for key, item in content}
    if form == FLOAT:
        return float(content)
    raise ValueError(f"unknown form {form}")
