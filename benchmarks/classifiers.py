"""The classifier of cnn-mnist as it is trained elsewhere: a Dataset of single images, a DataLoader, and Lightning.

It is a process of its own, without the lab:

python -m benchmarks.classifiers DATA EPOCHS THREADS [each]

DATA is an .npz file with `train` and `test` images as bytes, and their labels. The last line is JSON: the share of the
test images that is classified correctly, the seconds that this took, and those of the training. With `each` there is a
line for each epoch.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

BATCH = 128
Arrays = dict[str, np.ndarray[Any, Any]]


class Items(Dataset[Any]):
    """Single images with their labels, turned into tensors one by one as by torchvision's ToTensor."""

    def __init__(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
        self.images, self.labels = images, labels.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture = np.array(Image.fromarray(self.images[i]))
        return torch.from_numpy(picture).unsqueeze(0).float().div(255), self.labels[i]


def stage(before: int, channels: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, channels, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.25)]


class Net(pl.LightningModule):
    """The network of cnn-mnist and its optimizer, at a constant rate."""

    def __init__(self) -> None:
        super().__init__()
        dense = [nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 10)]
        self.layers = nn.Sequential(*stage(1, 32), *stage(32, 64), *dense)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]

    def training_step(self, batch: Any, index: int) -> Tensor:
        x, labels = batch
        return F.cross_entropy(self(x), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=2e-3, weight_decay=0.01, fused=True)


class Told(pl.Callback):
    """Prints the test accuracy after the last epoch, or after each; `each` is whether."""

    def __init__(self, data: Arrays, each: bool) -> None:
        self.data, self.each, self.started, self.evaluation = data, each, time.perf_counter(), 0.0

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if not self.each and epoch != trainer.max_epochs:
            return
        begun = time.perf_counter()
        right = accuracy(module, self.data)
        self.evaluation += (seconds := time.perf_counter() - begun)
        training = begun - self.started - self.evaluation + seconds
        print(json.dumps({"epoch": epoch, "accuracy": right, "evaluation": seconds, "training": training}), flush=True)


@torch.no_grad()
def accuracy(net: nn.Module, data: Arrays) -> float:
    """The share of the test images whose class is right."""
    net.eval()
    images, labels = torch.from_numpy(data["test"]).unsqueeze(1), torch.from_numpy(data["test_labels"])
    found = torch.cat([net(part.float() / 255).argmax(1) for part in images.split(500)])  # type: ignore[no-untyped-call]
    net.train()
    return (found == labels).float().mean().item()


def train(data: Arrays, epochs: int, *, steps: int = -1, each: bool = False) -> Told:
    """Train as Lightning's documentation does, without its checkpoints, logger and progress bar."""
    loader = DataLoader(Items(data["train"], data["train_labels"]), batch_size=BATCH, shuffle=True)
    told = Told(data, each)
    settings = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about worker processes
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            max_steps=steps,
            callbacks=[told],
            enable_model_summary=False,
            **settings,  # type: ignore[arg-type]
        )
        told.started = time.perf_counter()
        trainer.fit(Net(), loader)
    return told


if __name__ == "__main__":
    path, epochs, threads, *each = sys.argv[1:]
    torch.set_num_threads(int(threads))
    with np.load(path) as archive:
        arrays = dict(archive)
    train(arrays, int(epochs), each=bool(each))
