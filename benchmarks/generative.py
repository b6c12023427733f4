"""Generative models beside their peers: seconds from the shell's start to a test NLL, and images per second of a DCGAN.

All have the same network, batch size, optimizer and learning rate, and binarise each image anew. How many epochs reach
an NLL is found out once, with the loop of the PyTorch examples; then each is started for so many epochs, and the NLL of
each is printed. Evaluation does not count. pythae is in the extra `bench`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

import lab
from benchmarks.left_out import left_out_if_missing, require
from benchmarks.pairs import alternate
from benchmarks.peers import AS_PEERS
from benchmarks.processes import lines
from generative.gan.gan import GAN
from lab.configuration import load
from lab.data import Images
from lab.runs.summary import local_runs
from lab.training import Training

NLLS = (90.0, 88.0)
MOST_EPOCHS = 120
STEPS = 60  # of the GANs
RATE, BETAS = 2e-4, (0.5, 0.999)
"""Of the optimizers in the PyTorch example of a DCGAN."""


def measure(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = _written(folder)
        with left_out_if_missing("epochs of the VAE"):
            _beside_peers(pairs, data, folder / "runs")
    images = STEPS * 128
    for precision in ("32-true", "bf16-mixed"):
        title = f"lab run with trainer.precision {precision} / loop of the PyTorch example, DCGAN"
        result = alternate(title, partial(_lab_gan, precision), _example_gan, pairs)
        print(f"  images/s: {images / result.ours:,.0f} against {images / result.other:,.0f}")


def _beside_peers(pairs: int, data: Path, runs: Path) -> None:
    for nats, epochs in _epochs(data):
        ours = partial(_ours, runs, epochs)
        for peer, module in (("examples", "torch"), ("pythae", "pythae")):
            title = f"lab run / {peer}, VAE, {epochs} epochs to {nats:g} nats, from the shell"
            with left_out_if_missing(title):
                require(module)
                alternate(title, ours, partial(_peer, peer, data, epochs), pairs)


def _written(folder: Path) -> Path:
    """Write MNIST as bytes where the peers find it."""
    data = Images(batch_size=128, val_size=0, fallback="none")
    data.prepare()
    cpu = torch.device("cpu")
    train, test = (
        torch.cat([x for x, _ in batches]).mul(255).round().byte()[:, 0].numpy()
        for batches in (data.unchanged(cpu), data.test(cpu))
    )
    np.savez(folder / "mnist.npz", train=train, test=test)
    return folder / "mnist.npz"


def _epochs(data: Path) -> Iterator[tuple[float, int]]:
    """Yield each NLL and after how many epochs a training reaches it."""
    wanted = list(NLLS)
    command = [*_command("examples", data, MOST_EPOCHS), "each"]
    found = []
    with closing(lines(command)) as printed:
        for line in printed:
            told = json.loads(line)
            while wanted and told["nll"] <= wanted[0]:
                found.append((wanted.pop(0), told["epoch"]))
            if not wanted:
                break
    for nats in wanted:
        print(f"{nats:g} nats are not reached in {MOST_EPOCHS} epochs")
    yield from found


def _command(peer: str, data: Path, epochs: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers", peer, str(data), str(epochs), str(torch.get_num_threads())]


def _peer(peer: str, data: Path, epochs: int) -> float:
    started = time.perf_counter()
    done = subprocess.run(_command(peer, data, epochs), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"  {peer}: {told['nll']:.2f} nats", flush=True)
    return seconds - float(told["evaluation"])


def _ours(runs: Path, epochs: int) -> float:
    settings = {**AS_PEERS, "trainer.max_epochs": epochs, "threads": torch.get_num_threads(), "device": "cpu"}
    words = [f"--{name}={value}" for name, value in settings.items()]
    started = time.perf_counter()
    command = [sys.executable, "-m", "lab.cli", "run", "vae-mnist", *words, "--runs-dir", str(runs)]
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - started
    summary = max(local_runs(runs), key=lambda run: run.started)
    print(f"  lab: {summary.metrics['test/nll']:.2f} nats", flush=True)
    return seconds - summary.durations["evaluate"]


def _lab_gan(precision: str) -> float:
    """Both players without the penalty, and with the optimizers, of the example."""
    settings = {
        "trainer.precision": precision,
        "model.r1": 0.0,
        "trainer.max_epochs": None,
        "trainer.max_steps": STEPS,
        "trainer.pictures_every": 100,
        "trainer.ema": None,
        "trainer.optimizer.lr": RATE,
        "trainer.optimizer.betas": BETAS,
        "trainer.schedule.kind": "constant",
        "model.fid_samples": None,
        "data.fallback": "none",
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as folder:
        return lab.run("gan-mnist", settings, runs_dir=folder).durations["train"]


def _example_gan() -> float:
    """The loop of the PyTorch example with the networks of gan-mnist: real and generated images one after the other,
    and gradients of both networks in the generator's step."""
    built = cast(Training, load("gan-mnist", {"model.fid_samples": None, "data.fallback": "none"}).build())
    built.prepare(0, torch.device("cpu"))
    gan = cast(GAN, built.model)
    criterion, noise = nn.BCELoss(), gan.latent_dim
    discriminator = torch.optim.Adam([*gan.encoder.parameters(), *gan.head.parameters()], lr=RATE, betas=BETAS)
    generator = torch.optim.Adam(gan.generator.parameters(), lr=RATE, betas=BETAS)
    judged = lambda x: torch.sigmoid(gan.score(x)).view(-1)  # noqa: E731
    started = time.perf_counter()
    for step, (real, _) in enumerate(built.batches):
        if step == STEPS:
            break
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        for player in (gan.encoder, gan.head):
            player.zero_grad()
        criterion(judged(real), ones).backward()  # type: ignore[no-untyped-call]
        fake = gan(torch.randn(len(real), noise))
        criterion(judged(fake.detach()), zeros).backward()  # type: ignore[no-untyped-call]
        discriminator.step()
        gan.generator.zero_grad()
        criterion(judged(fake), ones).backward()  # type: ignore[no-untyped-call]
        generator.step()
    return time.perf_counter() - started
