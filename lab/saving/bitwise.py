"""Compares two runs bit by bit, in everything that a resumed run must have in common with an uninterrupted one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.errors import CheckpointError
from lab.runs.artifacts import FOLDER as ARTIFACTS
from lab.runs.artifacts import MANIFEST
from lab.runs.summary import read_summary
from lab.saving.checkpoint import Checkpoint, load
from lab.saving.packing import pack
from lab.saving.saver import RESULTS, rolling
from lab.system.files import sha256
from lab.tracking import MEDIA, METRICS, read_journal

SPEED = "speed/"
"""Prefix of metrics that depend on the clock and differ between any two runs. Rows that contain only such metrics still
count, because both runs write rows at the same steps."""


def run_differences(a: Path, b: Path) -> Iterator[str]:
    """Yield a line for everything that differs between two finished runs.

    Compares the rows of the journal, the metrics, the last checkpoint (weights, optimizer, generators, replay, loop),
    the checkpoints `final` and `best`, the artifacts and the media. Run ids, with the signatures that name them, and
    wall-clock times (the `time` of each row, and metrics called `speed/...`) are not compared.
    """
    one, other = read_summary(a), read_summary(b)
    if one.status != other.status:
        yield f"status: {one.status} against {other.status}"
    for name in (METRICS, MEDIA):
        yield from _rows(a / name, b / name)
    for name in {**one.metrics, **other.metrics}:
        if one.metrics.get(name) != other.metrics.get(name):
            yield f"metric {name}: {one.metrics.get(name)} against {other.metrics.get(name)}"
    yield from _checkpoints(a / "checkpoints", b / "checkpoints")
    for folder in (ARTIFACTS, "media"):
        yield from _files(a / folder, b / folder)


def _rows(a: Path, b: Path) -> Iterator[str]:
    both = [list(read_journal(path)) for path in (a, b)]
    if len(both[0]) != len(both[1]):
        yield f"{a.name}: {len(both[0])} rows against {len(both[1])}"
    for number, rows in enumerate(zip(*both, strict=False), start=1):
        one, other = ({k: v for k, v in row.items() if k != "time" and not k.startswith(SPEED)} for row in rows)
        if one != other:
            name = next(key for key in {**one, **other} if one.get(key) != other.get(key))
            yield f"{a.name} row {number}, {name}: {one.get(name)} against {other.get(name)}"


def _checkpoints(a: Path, b: Path) -> Iterator[str]:
    newest = [path.name for folder in (a, b) for path in rolling(folder)[:1]]
    if len(set(newest)) > 1:
        yield f"last checkpoint: {newest[0]} against {newest[1]}"
        return
    for name in [*newest[:1], *RESULTS]:
        there = [(folder / name).is_dir() for folder in (a, b)]
        if there[0] != there[1]:
            yield f"checkpoint {name}: in one run only"
        elif all(there):
            try:
                one, other = load(a / name), load(b / name)
            except CheckpointError as error:
                yield str(error)
                continue
            yield from (f"checkpoint {name}, {line}" for line in _states(one, other))


def _states(a: Checkpoint, b: Checkpoint) -> Iterator[str]:
    (plain_a, tensors_a), (plain_b, tensors_b) = pack(a.state), pack(b.state)
    yield from _plain(plain_a, plain_b, "")
    for name in tensors_a.keys() & tensors_b.keys():
        yield from _tensor(name, tensors_a[name], tensors_b[name])
    log_a, log_b = _log(a), _log(b)
    for name in {**log_a, **log_b}:
        yield from _tensor(f"log {name}", log_a.get(name), log_b.get(name))


def _plain(a: Any, b: Any, name: str) -> Iterator[str]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in {**a, **b}:
            yield from _plain(a.get(key), b.get(key), f"{name}.{key}".lstrip("."))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from _plain(one, other, f"{name}.{i}")
    elif a != b:
        yield f"{name}: {json.dumps(a)[:60]} against {json.dumps(b)[:60]}"


def _tensor(name: str, a: Tensor | None, b: Tensor | None) -> Iterator[str]:
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        yield f"{name}: shapes or types differ, or it is in one run only"
    elif not torch.equal(_bits(a), _bits(b)):
        yield f"{name}: {int((_bits(a) != _bits(b)).any(-1).sum())} of {a.numel()} numbers differ"


def _bits(tensor: Tensor) -> Tensor:
    """Return the bytes of each number, `(numel, bytes)`: compared so, a NaN equals itself and 0 differs from -0."""
    return tensor.contiguous().reshape(-1, 1).view(torch.uint8)


def _log(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return all rows of the log, joined from its segments."""
    parts = [segment.load() for segment in checkpoint.segments]
    return {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else ())}


def _files(a: Path, b: Path) -> Iterator[str]:
    paths = [path.relative_to(folder) for folder in (a, b) for path in folder.rglob("*") if path.is_file()]
    for name in sorted({str(path) for path in paths if path.name != MANIFEST}):  # which has the hashes of the others
        if not ((a / name).is_file() and (b / name).is_file()):
            yield f"{a.name}/{name}: in one run only"
        elif sha256(a / name) != sha256(b / name):
            yield f"{a.name}/{name}: contents differ"
