"""Worker processes that are killed, and running out of memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import lab
from generative.vae.vae import VAE
from lab.data import Images
from lab.data.base import Batches
from lab.data.batch import Batch
from lab.data.resumable import ResumableBatches
from lab.errors import DataWorkerError, OutOfMemoryError
from lab.resuming import resume
from lab.runs.summary import local_runs
from tests.faults.harness import copy_of_undisturbed, differences, settings


class Deadly(Dataset[Any]):
    """Kills the process that reads example 40 while the file `deadly` exists."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        if index == 40 and Path("deadly").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return self.images[index].float() / 255, self.labels[index]


class Loaded(ResumableBatches):
    """Batches that worker processes load, as a user's own data may."""

    def __init__(self, dataset: Deadly, batch_size: int, seed: int) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed

    def __len__(self) -> int:
        return len(self.dataset) // self.batch_size

    def batches_from(self, first: int) -> Iterator[Any]:
        order = torch.randperm(len(self.dataset), generator=torch.Generator().manual_seed(self.seed + self.epoch))
        chosen = [order[i * self.batch_size : (i + 1) * self.batch_size].tolist() for i in range(len(self))]
        loader = DataLoader(
            self.dataset, batch_sampler=chosen[first:], num_workers=1, multiprocessing_context="forkserver"
        )
        yield from loader


class LoadedImages(Images):
    """Images read by a worker process."""

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return Loaded(Deadly(*self._train), batch_size or self.batch_size, seed)


@pytest.mark.fault(16)
@pytest.mark.slow
def test_killed_data_worker_is_reported() -> None:
    multiprocessing.set_forkserver_preload([__name__])  # or each worker would import PyTorch anew
    data: dict[str, Any] = {"data": {"class_path": f"{__name__}.LoadedImages", "init_args": {"name": "digits"}}}
    name, overrides = settings("classifier")
    overrides = {k: v for k, v in overrides.items() if k != "data.name"} | data | {"trainer.max_epochs": 1}
    undisturbed = lab.run(name, overrides, runs_dir="undisturbed")
    Path("deadly").touch()
    with pytest.raises(DataWorkerError, match="a process that loads data died"):
        lab.run(name, overrides, runs_dir="runs")
    (run,) = local_runs(Path("runs"))
    assert run.status == "failed"
    Path("deadly").unlink()
    assert differences(undisturbed.dir, resume(run.dir).dir) == []


@pytest.mark.fault(17)
def test_out_of_memory_can_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = copy_of_undisturbed("vae")
    real, calls = VAE.losses, 0

    def greedy(self: VAE, batch: Batch) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls == 11:
            torch.empty(1 << 55)
        return real(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(VAE, "losses", greedy)
        name, overrides = settings("vae")
        with pytest.raises(OutOfMemoryError, match=r"the run needs more memory .* `lab resume` continues it"):
            lab.run(name, overrides, runs_dir="runs")
    (run,) = local_runs(Path("runs"))
    assert run.status == "failed"
    assert run.error is not None
    assert run.error.startswith("RuntimeError")
    assert differences(undisturbed.dir, resume(run.dir).dir) == []
