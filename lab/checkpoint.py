"""Checkpoints: folders that are complete and verified, or not there at all. Opening one never runs code from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save
from torch import Tensor

from lab.errors import CheckpointError
from lab.files import sha256, sync_folder, write_atomic, write_json

WEIGHTS, META, MANIFEST = "state.safetensors", "meta.json", "manifest.json"


def publish(folder: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint to `folder`, which must not exist yet.

    Everything is written and forced to disk in `folder.tmp`, then the manifest with each file's size and hash, then
    one rename makes it visible: a kill at any moment leaves a whole checkpoint or none.
    """
    staging = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomic(staging / WEIGHTS, save(plain))
    write_json(staging / META, dict(meta))
    files = {
        name: {"size": (staging / name).stat().st_size, "sha256": sha256(staging / name)} for name in (WEIGHTS, META)
    }
    write_json(staging / MANIFEST, {"schema": 1, "files": files})
    sync_folder(staging)
    staging.rename(folder)
    sync_folder(folder.parent)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors (on the CPU) and the meta data. Raises CheckpointError unless every byte is as published."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        for name in (WEIGHTS, META):
            if sha256(folder / name) != manifest["files"][name]["sha256"]:
                raise CheckpointError(f"{folder / name} is damaged: its bytes are not the ones that were published")
        return load_file(folder / WEIGHTS), json.loads((folder / META).read_text())
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"no valid checkpoint in {folder} ({type(error).__name__}: {error})") from error
