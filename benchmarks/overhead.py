"""The overhead of a run: `lab run vae-mnist` against a plain torch loop and against plain Lightning."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

import lab
from benchmarks.pairs import alternate
from benchmarks.peers import AS_PEERS, RATE
from generative.vae.vae import VAE
from lab.data import Images
from lab.data.batch import Batch, as_batch
from lab.encoders import MLP
from lab.training.loop.trainer import quiet_lightning

EPOCHS = 1


def measure(pairs: int) -> None:
    for batch_size in (512, 128):
        bare = partial(bare_torch, batch_size)
        alternate(f"lab run / bare torch, VAE, batch {batch_size}", partial(lab_run, batch_size), bare, pairs)
        alternate(
            f"bare Lightning / bare torch, VAE, batch {batch_size}", partial(bare_lightning, batch_size), bare, pairs
        )


def lab_run(batch_size: int) -> float:
    settings = {
        **AS_PEERS,
        "trainer.max_epochs": EPOCHS,
        "data.batch_size": batch_size,
        "model.nll_samples": 1,
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }
    words = [f"--{name}={value}" for name, value in settings.items()]
    with tempfile.TemporaryDirectory() as folder:
        return lab.run("vae-mnist", words, runs_dir=folder).durations["train"]


def prepared(batch_size: int) -> tuple[VAE, Tensor]:
    data = Images(batch_size=batch_size, val_size=0, fallback="none")
    data.prepare()
    torch.manual_seed(0)
    vae = VAE(data.spec, encoder=partial(MLP, hidden=[512, 512], activation="silu"), latent_dim=50)
    return vae, data.train(torch.device("cpu"), 0).images  # type: ignore[attr-defined]


def bare_torch(batch_size: int) -> float:
    """The shortest training loop with the same arithmetic."""
    vae, images = prepared(batch_size)
    optimizer = torch.optim.Adam(vae.parameters(), RATE, fused=True)
    started = time.perf_counter()
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for i in range(len(images) // batch_size):
            x = images[order[i * batch_size : (i + 1) * batch_size]].float().div_(255)
            loss = vae.losses(Batch(x))["loss"]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return time.perf_counter() - started


class Bare(pl.LightningModule):
    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae

    def training_step(self, batch: Any, i: int) -> Tensor:
        return self.vae.losses(as_batch(batch))["loss"]

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), RATE, fused=True)


class Indexed:
    """The same batches for Lightning, indexed on the device."""

    def __init__(self, images: Tensor, batch_size: int) -> None:
        self.images, self.batch_size = images, batch_size

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __iter__(self) -> Any:
        order = torch.randperm(len(self.images))
        for i in range(len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield self.images[chosen].float().div_(255), chosen


def bare_lightning(batch_size: int) -> float:
    vae, images = prepared(batch_size)
    with quiet_lightning():
        trainer = pl.Trainer(max_epochs=EPOCHS, barebones=True, accelerator="cpu")
        started = time.perf_counter()
        trainer.fit(Bare(vae), Indexed(images, batch_size))
    return time.perf_counter() - started
