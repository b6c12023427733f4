"""Checkpoints: folders that are complete and verified, or not there at all. Opening one never runs code from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lab.errors import CheckpointError
from lab.resume.packing import pack, unpack
from lab.system.files import sha256, sync_folder, write_atomic, write_json

WEIGHTS, META, MANIFEST, SEGMENTS = "state.safetensors", "meta.json", "manifest.json", "segments"
STAGING = ".tmp"


@dataclass(frozen=True)
class Segment:
    """Rows `start` to `stop` of an append-only log, in a file beside the checkpoints that share it."""

    start: int
    stop: int
    path: Path
    print: Mapping[str, Any]
    """Its size and hash, as every manifest that shares it has them."""

    def load(self) -> dict[str, Tensor]:
        """Return the rows by name, `(stop - start, ...)` each."""
        return load_file(self.path)


@dataclass(frozen=True)
class Checkpoint:
    """What was published: a nested state, what is known about it, and the rows of its log where it has one."""

    folder: Path
    state: Any
    meta: dict[str, Any]
    segments: Sequence[Segment] = field(default=())


def publish(folder: Path, state: Any, meta: Mapping[str, Any], segments: Sequence[Segment] = ()) -> None:
    """Write a checkpoint to `folder`, which must not exist yet. `state` is anything that `lab.resume.packing` can pack.

    Everything is written and forced to disk in `folder.tmp`, then the manifest with each file's size and hash, then
    one rename makes it visible: a kill at any moment leaves a whole checkpoint or none.
    """
    staging = folder.with_name(folder.name + STAGING)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    structure, tensors = pack(state)
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomic(staging / WEIGHTS, save(plain))
    write_json(staging / META, {"meta": dict(meta), "structure": structure})
    manifest = {
        "schema": 2,
        "files": {name: _print_of(staging / name) for name in (WEIGHTS, META)},
        "segments": [{"start": s.start, "stop": s.stop, "name": s.path.name, "print": s.print} for s in segments],
    }
    write_json(staging / MANIFEST, manifest)
    sync_folder(staging)
    staging.rename(folder)
    sync_folder(folder.parent)


def load(folder: Path) -> Checkpoint:
    """Return a checkpoint, its tensors on the CPU. Raises CheckpointError unless every byte is as published."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        for name in (WEIGHTS, META):
            _verify(folder / name, manifest["files"][name])
        segments = [
            Segment(
                int(one["start"]), int(one["stop"]), folder.parent / SEGMENTS / Path(one["name"]).name, one["print"]
            )
            for one in manifest["segments"]
        ]
        for segment in segments:
            _verify(segment.path, segment.print)
        described = json.loads((folder / META).read_text())
        # Cloned: into memory aligned as torch aligns it, on which the rounding of some sums depends.
        tensors = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
        state = unpack(described["structure"], tensors)
        return Checkpoint(folder, state, dict(described["meta"]), segments)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"no valid checkpoint in {folder} ({type(error).__name__}: {error})") from error


def write_segment(folder: Path, start: int, rows: Mapping[str, Tensor]) -> Segment:
    """Write rows that begin at index `start` of their log into a file of their own in `folder`."""
    stop = start + len(next(iter(rows.values())))
    path = folder / f"rows-{start:010d}-{stop:010d}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save({name: value.contiguous() for name, value in rows.items()}))
    return Segment(start, stop, path, _print_of(path))


def segment_names(folder: Path) -> list[str]:
    """Names of the segments that the checkpoint in `folder` needs; none where it cannot be read."""
    try:
        return [entry["name"] for entry in json.loads((folder / MANIFEST).read_text())["segments"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield what a kill left behind in a folder of checkpoints while one was being written."""
    yield from folder.glob(f"*{STAGING}")
    yield from folder.glob(f"{SEGMENTS}/.*.part")


def _print_of(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def _verify(path: Path, expected: Mapping[str, Any]) -> None:
    if sha256(path) != expected["sha256"]:
        raise CheckpointError(f"{path} is damaged: its bytes are not the ones that were published")
