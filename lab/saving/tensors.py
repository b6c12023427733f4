"""Files of tensors that may be somebody else's: opened once, so that what is checked is what is used.

A folder of runs can lie on a disk that others write to, where a file that is hashed and opened again may be another.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lab.errors import CheckpointError
from lab.system.memory import all_memory
from lab.system.opening import open_plain, parse_json

MOST_VALUES = 3_000_000
"""Of the structure of a checkpoint, and of the header of a file of tensors, which has twelve for each. The environments
of a run of ten thousand have a tenth of it, the names of a million users or tokens a third."""

MOST_SHRUNK, MOST_HOLES = 64, 2**26
"""A file has at most so many times the bytes that it takes on the disk, and so many beyond. A disk that compresses
takes a 32nd of what it is given at least; a file with holes takes nothing to send, and all its size in memory."""

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, SafetensorError)
"""What is raised for files that are damaged, incomplete or of another kind."""
UNFIT = (*UNREADABLE, RuntimeError, IndexError)
"""What is raised besides for a state that does not fit what it is loaded into."""


def as_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Return contiguous tensors of the CPU as the content of a file.

    Raises MemoryError where there is no room for the copies that this makes: the library would end the process.
    """
    bytes(2 * sum(x.nbytes for x in tensors.values()))
    return save(tensors)


def require_print(path: Path, below: Path, expected: Mapping[str, Any]) -> None:
    """Raise CheckpointError unless a file has the size and the hash that are expected; OSError for no plain file."""
    with open_plain(path, below) as file:
        _require_size(path, os.fstat(file.fileno()).st_size, expected)
        _require_hash(path, hashlib.file_digest(file, "sha256").hexdigest(), expected)


def read_verified(path: Path, below: Path, expected: Mapping[str, Any], most: int | None = None) -> bytes:
    """Return the bytes of a file, at most `most` or what this machine has of memory, which have the size and the hash
    that are expected; else raise as `require_print` does."""
    if most is None:
        most = all_memory()
    with open_plain(path, below) as file:
        held = os.fstat(file.fileno())
        size = held.st_size
        _require_size(path, size, expected)
        taken = getattr(held, "st_blocks", 0) * 512  # 0 where the disk does not say
        if taken and size > MOST_SHRUNK * taken + MOST_HOLES:
            raise CheckpointError(f"{path} has {size:,} bytes, of which {taken:,} lie on the disk: it is mostly a hole")
        try:
            content = file.read(size) if most is None or size <= most else None
        except (MemoryError, OverflowError):
            content = None
    if content is None:
        raise CheckpointError(f"{path} has {size:,} bytes, which are too many")
    _require_hash(path, hashlib.sha256(content).hexdigest(), expected)
    return content


def read_tensors(path: Path, below: Path, expected: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors in a file of safetensors by name; see `read_verified`."""
    return tensors_in(read_verified(path, below, expected))


def tensors_in(content: bytes) -> dict[str, Tensor]:
    """Return the tensors in the bytes of a file of safetensors, by name.

    They are cloned into memory that torch has aligned: the rounding of some sums depends on alignment.
    Raises ValueError or SafetensorError where there are none, or more than a run has.
    """
    parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")], MOST_VALUES)
    found = load(content)
    del content  # or there would be three of each tensor for a moment
    return {name: found.pop(name).clone() for name in list(found)}


def _require_size(path: Path, size: int, expected: Mapping[str, Any]) -> None:
    if size != expected["size"]:  # or a file without an end would be read to its end
        raise CheckpointError(f"{path} is damaged: its size differs from the one in the manifest")


def _require_hash(path: Path, found: str, expected: Mapping[str, Any]) -> None:
    if found != expected["sha256"]:
        raise CheckpointError(f"{path} is damaged: its hash differs from the one in the manifest")
