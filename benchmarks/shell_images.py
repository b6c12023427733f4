"""From the shell to the figure: `lab run cnn-mnist` and `vae-mnist` beside plain Lightning scripts that train, test and
save, with the same networks, batch sizes, learning rates and epochs, and Lightning's own checkpoints and progress bar.

What is not training is printed for both: the seconds from the shell's start to its end, less those of the training.
`python -m benchmarks.shell_images cnn|vae DATA EPOCHS THREADS` is the script. The lab also draws pictures, computes
baselines and exports the encoder.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import classifiers, peers
from benchmarks.pairs import alternate

EPOCHS = {"cnn": 1, "vae": 2}
OTHERWISE: dict[str, dict[str, object]] = {
    "cnn": {
        "trainer.keep_best": "null",
        "trainer.schedule.kind": "constant",
        "trainer.schedule.warmup": 0,
        "data.val_size": 0,
        "data.fallback": "none",
    },
    "vae": peers.AS_PEERS,
}
"""Settings of the lab's side."""


def measure(pairs: int) -> None:
    from benchmarks.supervised import _arrays

    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "mnist.npz"
        np.savez(data, **_arrays())  # type: ignore[arg-type]  # it also takes an argument of its own
        for kind, epochs in EPOCHS.items():
            rest: dict[str, list[float]] = {"lab": [], "script": []}
            title = f"lab run {kind}-mnist / Lightning script, {epochs} epochs, from the shell"
            ours, theirs = partial(_ours, kind, name, rest["lab"]), partial(_theirs, kind, data, rest["script"])
            alternate(title, ours, theirs, pairs)
            for side, seconds in rest.items():
                low, middle, high = np.quantile(seconds[1:], [0, 0.5, 1])
                print(f"  {side}, all but training: {middle:.2f} s (min {low:.2f}, max {high:.2f})", flush=True)


def _ours(kind: str, folder: str, rest: list[float]) -> float:
    settings = {**OTHERWISE[kind], "trainer.max_epochs": EPOCHS[kind], "threads": torch.get_num_threads()}
    words = [f"--{name}={value}" for name, value in settings.items()]
    command = ["-m", "lab.cli", "run", f"{kind}-mnist", *words, "--device=cpu", "--runs-dir", folder, "--json"]
    seconds, line = _run(command)
    rest.append(seconds - float(json.loads(line)["durations"]["train"]))
    return seconds


def _theirs(kind: str, data: Path, rest: list[float]) -> float:
    words = [kind, str(data), str(EPOCHS[kind]), str(torch.get_num_threads())]
    seconds, line = _run(["-m", "benchmarks.shell_images", *words])
    rest.append(seconds - float(json.loads(line)["training"]))
    return seconds


def _run(words: list[str]) -> tuple[float, str]:
    """Return the seconds that a process takes, and its last line."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return time.perf_counter() - started, done.stdout.splitlines()[-1]


class Classifier(classifiers.Net):
    def test_step(self, batch: Any, index: int) -> None:
        x, labels = batch
        self.log("test/accuracy", (self(x).argmax(1) == labels).float().mean())


class Autoencoder(pl.LightningModule):
    """The VAE of vae-mnist, on images binarised anew."""

    def __init__(self) -> None:
        super().__init__()
        self.net = peers.Net()

    def training_step(self, batch: Any, index: int) -> Tensor:
        x = torch.bernoulli(batch[0].flatten(1))
        mean, log_variance = self.net.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        error = F.binary_cross_entropy_with_logits(self.net.decoder(z), x, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return (error + kl) / len(x)

    def test_step(self, batch: Any, index: int) -> None:
        self.log("test/nll", peers.nll(self.net, batch[0].mul(255).squeeze(1).numpy()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=peers.RATE)


def script(kind: str, path: str, epochs: int) -> None:
    """Train, test and save as Lightning's documentation does, and print the figure and the seconds of the training."""
    with np.load(path) as arrays:
        train, test = (
            TensorDataset(
                torch.from_numpy(arrays[split]).unsqueeze(1).float() / 255, torch.from_numpy(arrays[f"{split}_labels"])
            )
            for split in ("train", "test")
        )
    module = {"cnn": Classifier, "vae": Autoencoder}[kind]()
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(accelerator="cpu", max_epochs=epochs, default_root_dir=folder, logger=False)
        began = time.perf_counter()
        trainer.fit(module, DataLoader(train, batch_size=classifiers.BATCH, shuffle=True))
        training = time.perf_counter() - began
        (figures,) = trainer.test(module, DataLoader(test, batch_size=500))
        trainer.save_checkpoint(Path(folder) / "final.ckpt")
    print(json.dumps({**figures, "training": training}))


if __name__ == "__main__":
    kind, path, epochs, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    script(kind, path, int(epochs))
