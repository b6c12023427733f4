"""Images per second, against a Dataset of single items with a DataLoader under Lightning."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.overhead import Bare, prepared
from benchmarks.pairs import alternate
from lab.data.batches import TensorBatches
from lab.data.sets.images import unit_floats
from lab.training.loop.trainer import quiet_lightning

BATCH = 512


class Items(Dataset[Any]):
    """One image at a time, as in tutorials."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Any:
        return self.images[i].float() / 255, 0


def measure(pairs: int) -> None:
    vae, images = prepared(BATCH)
    ours = TensorBatches(
        images, torch.zeros(len(images), dtype=torch.long), batch_size=BATCH, seed=0, transform=unit_floats
    )
    usual = partial(DataLoader, Items(images), BATCH, shuffle=True, drop_last=True)

    def drained(make: Callable[[], Any]) -> float:
        batches = make()
        started = time.perf_counter()
        for _ in batches:
            pass
        return time.perf_counter() - started

    def trained(make: Callable[[], Any]) -> float:
        batches = make()
        with quiet_lightning():
            trainer = pl.Trainer(max_epochs=1, barebones=True, accelerator="cpu")
            started = time.perf_counter()
            trainer.fit(Bare(vae), batches)
        return time.perf_counter() - started

    workers = partial(usual, num_workers=2)
    for name, run in (("loading alone", drained), ("training the VAE", trained)):
        for kind, make in (("in process", usual), ("2 workers", workers)):
            result = alternate(
                f"device batches / Dataset + DataLoader ({kind}), {name}",
                partial(run, lambda: ours),
                partial(run, make),
                pairs,
            )
            rates = [len(ours) * BATCH / seconds for seconds in (result.ours, result.other)]
            print(f"  images/s: {rates[0]:,.0f} against {rates[1]:,.0f}")
