"""Recorded episodes in a folder: tensors and a description, which are read without running any code of theirs.

`episodes.safetensors` has one row for each step, N in all, in the order in which they were taken:

| name           | what                                                              |
|----------------|-------------------------------------------------------------------|
| `observations` | what was seen before the action, `(N, ...)`, uint8 or float32     |
| `actions`      | `(N, ...)`                                                        |
| `rewards`      | after the action, `(N,)`, float32                                 |
| `starts`       | true in the first step of an episode, `(N,)`                      |
| `terminations` | true where the action ended the episode, `(N,)`                   |
| `truncations`  | true where a limit of time did, `(N,)`                            |
| `states`       | named numbers behind the observation, `(N, S)`, float32; optional |

What is seen after the last action of an episode is not kept. `episodes.json` says where they are from.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load
from torch import Tensor

from lab.errors import ConfigError, DataError, not_written
from lab.system.files import publish_folder, write_json
from lab.system.memory import require_memory
from lab.system.opening import parse_json, read_json, read_plain

TENSORS, DESCRIPTION = "episodes.safetensors", "episodes.json"
FLAGS = ("starts", "terminations", "truncations")
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, SafetensorError)


class Episodes(NamedTuple):
    """Recorded episodes.

    Args:
        tensors: by the names above.
        names: of the S states.
        description: what `episodes.json` says.
        sha256: of the file of tensors.
    """

    tensors: Mapping[str, Tensor]
    names: tuple[str, ...]
    description: Mapping[str, Any]
    sha256: str


def write_episodes(
    folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]], description: Mapping[str, Any]
) -> dict[str, Any]:
    """Write episodes as `folder`, with all of it or not at all, and return the description with the hash.

    Raises ConfigError where something stands there already or cannot be written, SavingError for a full disk.
    """
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    shapes = {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in sorted(arrays.items())}
    whole = {
        "schema": 1,
        **description,
        "tensors": shapes,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    staging: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        staging.chmod(0o755)
        (staging / TENSORS).write_bytes(content)
        write_json(staging / DESCRIPTION, whole)
        publish_folder(staging, folder)
    except OSError as error:
        raise not_written(folder, error) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return whole


def require_free(folder: Path) -> None:
    """Raise ConfigError where episodes cannot be written as `folder`: something stands there, or it is not ours."""
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"there is already something at {folder}; remove it, or name another folder with -o")
    above = next(one for one in folder.absolute().parents if one.exists())
    try:
        tempfile.TemporaryFile(dir=above).close()
    except OSError as error:
        raise not_written(folder, error) from error


def read_episodes(folder: Path) -> Episodes:
    """Return the episodes in a folder. Raises DataError where there are none, or other bytes than were written."""
    try:
        description = read_json(folder / DESCRIPTION, folder)
        size = (folder / TENSORS).lstat().st_size
        if size != description["bytes"]:
            raise DataError(f"{folder / TENSORS} is damaged: expected {description['bytes']} bytes, received {size:,}")
        require_memory(3 * size, f"the episodes in {folder} need")
        content = read_plain(folder / TENSORS, folder, most=size)
        found = hashlib.sha256(content).hexdigest()
        if found != description["sha256"]:
            raise DataError(f"{folder / TENSORS} is damaged: its sha256 is not the one in {DESCRIPTION}")
        parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
        loaded = load(content)
        tensors = {name: loaded.pop(name).clone() for name in list(loaded)}  # into memory that torch has aligned
        names = tuple(map(str, description.get("states", ())))
        _require_form(tensors, names)
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no recorded episodes: it lacks {Path(str(error.filename)).name}") from error
    except DAMAGED as error:
        raise DataError(f"{folder} holds no recorded episodes that can be read: {error}") from error
    return Episodes(tensors, names, description, found)


def _require_form(tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> None:
    """Raise ValueError where tensors are not those of episodes."""
    if missing := [name for name in ("observations", "actions", "rewards", *FLAGS) if name not in tensors]:
        raise ValueError(f"it has no {missing[0]}")
    seen = tensors["observations"]
    if seen.dtype not in (torch.uint8, torch.float32) or seen.ndim not in (2, 4) or not seen.numel():
        raise ValueError(f"its observations are {seen.dtype} of shape {tuple(seen.shape)}")
    for name in FLAGS:
        if tensors[name].dtype != torch.bool or tensors[name].shape != seen.shape[:1]:
            raise ValueError(f"its {name} are not one for each of {len(seen):,} steps")
    if tensors["rewards"].dtype != torch.float32 or tensors["rewards"].shape != seen.shape[:1]:
        raise ValueError(f"its rewards are not one number for each of {len(seen):,} steps")
    if tensors["actions"].shape[:1] != seen.shape[:1]:
        raise ValueError(f"its actions are not one for each of {len(seen):,} steps")
    if not tensors["starts"][0]:
        raise ValueError("its first step does not begin an episode")
    states = tensors.get("states")
    if (states is None) != (not names) or (
        states is not None and (states.dtype != torch.float32 or states.shape != (len(seen), len(names)))
    ):
        raise ValueError(f"its states are not {len(names)} for each step")
    for one in (seen, states, tensors["rewards"]):
        if one is not None and one.is_floating_point() and not one.isfinite().all():
            raise ValueError("it has numbers that are not finite")
