"""Judges that were trained before, in the user's cache folder: one for each data set and recipe, shared by all runs.

The folder may be deleted at any time. Each run has a copy of its judge among its own weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from lab.console.notices import notice
from lab.console.wording import near
from lab.saving.tensors import as_bytes
from lab.system.files import write_atomic


def kept(recipe: Mapping[str, Any], like: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return the weights that this recipe gave; None where there are none, or none that fit `like`."""
    try:
        found = load(_file(recipe).read_bytes())
    except (OSError, SafetensorError):
        return None
    # Tensors read from safetensors lie unaligned, and some sums round otherwise.
    found = {name: value.clone() for name, value in found.items()}
    return found if {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in like.items()} else None


def keep(recipe: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Keep what a recipe gave, for later runs. Where nothing can be written, each run trains its own."""
    file = _file(recipe)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, as_bytes({name: value.contiguous() for name, value in weights.items()}))
        notice(f"later runs on these data have the same judge, which is kept in {near(file)}")


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights, as hexadecimal digits."""
    plain = {name: value.detach().cpu().contiguous() for name, value in sorted(weights.items())}
    return hashlib.sha256(as_bytes(plain)).hexdigest()


def _file(recipe: Mapping[str, Any]) -> Path:
    from platformdirs import user_cache_path  # 10 ms

    name = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    return user_cache_path("lab") / "judges" / f"{name}.safetensors"
