"""Checkpoints: complete or absent, verified, and free of code."""

from __future__ import annotations

import os
import pickle
import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.errors import CheckpointError
from lab.saving import checkpoint
from lab.saving.tensors import as_bytes
from lab.system.files import write_atomic, write_json

STATE = {"weight": torch.arange(6.0).view(2, 3).T, "step": torch.tensor(7)}


def test_too_little_memory_is_an_error_of_python() -> None:
    with pytest.raises(MemoryError):
        as_bytes({"weight": torch.zeros(1).expand(2**50)})


def test_loading_restores_the_state(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    checkpoint.publish(folder / "final", STATE, {"epoch": 3})
    loaded = checkpoint.load(folder / "final")
    tensors = loaded.state
    assert loaded.meta == {"epoch": 3}
    assert tensors.keys() == STATE.keys()
    assert all(torch.equal(tensors[name], STATE[name]) for name in STATE)
    assert [path.name for path in folder.iterdir()] == ["final"]


@pytest.mark.parametrize("name", ["state.safetensors", "meta.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "remove"])
def test_damage_is_detected(name: str, damage: str, tmp_path: Path) -> None:
    checkpoint.publish(tmp_path / "final", STATE, {"epoch": 3})
    path = tmp_path / "final" / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        damaged: dict[str, bytes] = {"truncate": bytes(content[:-3]), "empty": b"", "flip": bytes(flipped)}
        path.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match=r"damaged|no valid checkpoint"):
        checkpoint.load(tmp_path / "final")


class _Payload:
    def __reduce__(self) -> Any:
        return (Path("canary").touch, ())


@pytest.mark.parametrize("name", ["state.safetensors", "meta.json", "manifest.json"])
def test_loading_never_runs_code(name: str, tmp_path: Path) -> None:
    checkpoint.publish(tmp_path / "final", STATE, {})
    (tmp_path / "final" / name).write_bytes(pickle.dumps(_Payload()))
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path / "final")
    assert not Path("canary").exists()


@pytest.mark.parametrize("step", range(12))
def test_failed_writes_leave_nothing_partial(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real = os.fsync

    def failing(descriptor: int) -> None:
        nonlocal calls
        if calls == step:
            raise OSError(28, "No space left on device")
        calls += 1
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with suppress(OSError):
        checkpoint.publish(tmp_path / "final", STATE, {})
    if (tmp_path / "final").exists():
        checkpoint.load(tmp_path / "final")
    monkeypatch.undo()
    if not (tmp_path / "final").exists():
        checkpoint.publish(tmp_path / "final", STATE, {})  # in spite of the leftovers
        checkpoint.load(tmp_path / "final")


def test_files_are_replaced_atomically(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"one")
    write_atomic(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a", {"x": float("nan")})
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a"]


def test_refused_write_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk, where a half-written file would take the last bytes."""
    write_atomic(tmp_path / "a", b"one")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomic(tmp_path / "a", bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()] == [b"one"]
