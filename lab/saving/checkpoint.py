"""Checkpoint folders. One that exists is complete, and loading it verifies hashes and never runs code from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from lab.errors import CheckpointError, LabError, SavingError
from lab.keys.ownership import is_signed_for
from lab.keys.signature import RUN, signed
from lab.saving.packing import pack, unpack
from lab.saving.tensors import MOST_VALUES, UNREADABLE, as_bytes, read_tensors, read_verified, require_print
from lab.system.files import make_folder, print_of, sync_folder, write_atomic, write_json
from lab.system.opening import first_link, parse_json, read_json

WEIGHTS, META, MANIFEST, SEGMENTS = "state.safetensors", "meta.json", "manifest.json", "segments"
STAGING = ".tmp"
MOST_META = 2**27
"""Bytes of a checkpoint's metadata and structure."""
AVERAGES = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg", "sum"}
"""What optimizers keep for each number of a parameter."""


@dataclass(frozen=True)
class Segment:
    """Rows `start` to `stop` of an append-only log, in one file that several checkpoints share."""

    start: int
    stop: int
    path: Path
    print: Mapping[str, Any]
    """Size and hash of the file, as recorded in each manifest that names it."""

    def load(self) -> dict[str, Tensor]:
        """Return the rows by name, each of shape `(stop - start, ...)`. Raises CheckpointError where the file is no
        longer the one that was verified when the checkpoint was loaded."""
        try:
            return read_tensors(self.path, self.path.parents[2], self.print)
        except UNREADABLE as error:
            raise CheckpointError(f"{self.path} cannot be read: {error}") from error


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: a nested state, metadata, and the segments of its log if it has one."""

    folder: Path
    state: Any
    meta: dict[str, Any]
    segments: Sequence[Segment] = field(default=())


def publish(
    folder: Path, state: Any, meta: Mapping[str, Any], segments: Sequence[Segment] = (), *, sign: bool = True
) -> None:
    """Write a checkpoint to `folder`, which must not exist yet. `state` is anything that `lab.saving.packing` can pack.

    All files are written to `folder.tmp` and forced to the disk, last the manifest with their sizes and hashes, signed
    as the user's own unless `sign` is false: what is made from a checkpoint of somebody else's is his.
    Then the folder is renamed, so that a kill at any moment leaves a complete checkpoint or none.

    Raises SavingError where a link lies in the way.
    """
    require_no_link(folder.parent)
    staging = folder.with_name(folder.name + STAGING)
    shutil.rmtree(staging, ignore_errors=True)
    make_folder(staging)
    structure, tensors = pack(state)
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomic(staging / WEIGHTS, as_bytes(plain))
    described, _ = pack(dict(meta))  # strict JSON has no infinities and no numbers as keys, which settings may have
    write_json(staging / META, {"meta": described, "structure": structure})
    manifest = {
        "schema": 2,
        RUN: meta.get(RUN),
        "files": {name: print_of(staging / name) for name in (WEIGHTS, META)},
        "segments": [{"start": s.start, "stop": s.stop, "name": s.path.name, "print": s.print} for s in segments],
    }
    write_json(staging / MANIFEST, signed("manifest", manifest) if sign else manifest)
    sync_folder(staging)
    staging.rename(folder)
    sync_folder(folder.parent)


def require_no_link(checkpoints: Path) -> None:
    """Raise SavingError where a folder of checkpoints is a link or holds one, which whoever else can write there may
    have put in the way since it was read."""
    if checkpoints.is_symlink() or (checkpoints.is_dir() and first_link(checkpoints, within="wandb")):
        raise SavingError(f"nothing is written to {checkpoints}: a link lies in its way")


def load(folder: Path, *, signed_for: str | None = None) -> Checkpoint:
    """Load a checkpoint, with tensors on the CPU.

    Args:
        folder: of the checkpoint, in the folder `checkpoints` of a run.
        signed_for: id of the run that the checkpoint must be signed for as the user's own. It was when the run was
            found to be his, and may have been replaced since. None for a run of anybody.

    Raises CheckpointError if any byte differs from what was written, or it is signed for another run.
    """
    run = folder.parent.parent
    try:
        manifest = read_json(folder / MANIFEST, run)
        if signed_for is not None and not is_signed_for(signed_for, "manifest", manifest):
            raise CheckpointError(f"{folder} is not signed as a checkpoint of {signed_for}: it has just been replaced")
        content = read_verified(folder / META, run, manifest["files"][META], most=MOST_META)
        described = parse_json(content, MOST_VALUES)
        segments = [
            Segment(
                int(one["start"]), int(one["stop"]), folder.parent / SEGMENTS / Path(one["name"]).name, one["print"]
            )
            for one in manifest["segments"]
        ]
        for segment in segments:
            require_print(segment.path, run, segment.print)
        state = unpack(described["structure"], read_tensors(folder / WEIGHTS, run, manifest["files"][WEIGHTS]))
        return Checkpoint(folder, state, dict(unpack(described["meta"], {})), segments)
    except UNREADABLE as error:
        raise CheckpointError(f"no valid checkpoint in {folder} ({type(error).__name__}: {error})") from error


@contextmanager
def blamed(folder: Path, *, when: bool = True) -> Iterator[None]:
    """Raise CheckpointError for whatever fails in the block, as it works with what is in `folder`; unless `when` is
    false. Where a stranger's config names the lab's own classes alone, it is his values that these cannot work with."""
    try:
        yield
    except (LabError, OSError):
        raise
    except Exception as error:
        if not when:
            raise
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"what {folder} holds cannot be used ({type(error).__name__}: {reason})") from error


def mismatch(saved: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> str | None:
    """Return in a sentence how the weights in a checkpoint differ in name or shape from those of a model; None where
    they fit."""
    before, wanted = ({name: tuple(value.shape) for name, value in one.items()} for one in (saved, now))
    for name in sorted({*before, *wanted}):
        if before.get(name) != wanted.get(name):
            there, here = (f"{one[name]}" if name in one else "none" for one in (before, wanted))
            return (
                f"the checkpoint does not fit the settings: for {name} it has the shape {there}, and the model {here}"
            )
    return None


def require_averages(saved: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Raise CheckpointError where the state of an optimizer in a checkpoint holds an average of another shape than that
    of its parameter. torch's fused optimizers do not look, and read and write what lies beside it in memory."""
    places = [place for group in saved["param_groups"] for place in group["params"]]
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    for place, parameter in zip(places, parameters, strict=False):  # the optimizer compares the numbers itself
        for name, value in saved["state"].get(place, {}).items():
            if name in AVERAGES and not (isinstance(value, Tensor) and value.shape == parameter.shape):
                raise CheckpointError(f"the checkpoint does not fit the settings: {name} has another shape")


def write_segment(folder: Path, start: int, rows: Mapping[str, Tensor]) -> Segment:
    """Write rows of a log, the first of which has index `start`, to a new file in `folder`."""
    stop = start + len(next(iter(rows.values())))
    path = folder / f"rows-{start:010d}-{stop:010d}.safetensors"
    make_folder(folder)
    write_atomic(path, as_bytes({name: value.contiguous() for name, value in rows.items()}))
    return Segment(start, stop, path, print_of(path))


def segment_names(folder: Path) -> list[str]:
    """Return the names of the segments that the checkpoint in `folder` needs; empty if it cannot be read."""
    try:
        return [entry["name"] for entry in read_json(folder / MANIFEST, folder.parent.parent)["segments"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield files and folders that a kill left behind while a checkpoint was being written."""
    yield from folder.glob(f"*{STAGING}")
    yield from folder.glob(f"{SEGMENTS}/.*.part")
