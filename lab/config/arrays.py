"""NumPy's numbers and arrays as types of settings: Gymnasium's wrappers declare some of theirs as such."""

from __future__ import annotations

from typing import Any

import numpy as np
from jsonargparse.typing import register_type


def _array(value: Any) -> np.ndarray[Any, Any]:
    """Read a number or nested lists of numbers. Real numbers become float32, as the spaces of Gymnasium have them."""
    read = np.asarray(value)
    if read.dtype.kind not in "biuf":
        raise ValueError(f"expected a number or a list of numbers, received {value!r}")
    return read.astype(np.float32) if read.dtype.kind == "f" else read


def _plain(value: Any) -> Any:
    if np.ndim(value):
        return [_plain(one) for one in value]
    return float(str(value)) if np.issubdtype(type(value), np.floating) else int(value)  # 0.1 stays 0.1


def register_arrays() -> None:
    """Let jsonargparse read settings of these types, and write them as plain numbers and lists."""
    for kind, read in ((np.floating, np.float32), (np.integer, np.int64), (np.ndarray, _array)):
        register_type(kind, serializer=_plain, deserializer=read, fail_already_registered=False)
