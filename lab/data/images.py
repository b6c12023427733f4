"""Image data sets: MNIST, and scikit-learn's digits as the one that is always there."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt
from lab.console.progress import notice
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.batch import Batch
from lab.data.batches import TensorBatches
from lab.data.catalog import UnavailableError, fetch, lookup
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError, DataError

Split = tuple[Tensor, Tensor]
"""Images `(N, 1, 28, 28)`, uint8, and labels `(N,)`, int64."""


class Images(DataModule):
    """Labelled 28x28 grey images with ten classes, held as uint8 on the training device.

    Args:
        name: `mnist` or `digits` (8x8 images scaled to 28x28; the last 500 of 1,797 are the test split).
        fallback: what stands in where `name` cannot be downloaded; `none` makes that an error.
        batch_size: images per training batch.
        eval_batch_size: images per validation and test batch.
        val_size: training images held out for validation, from the end of the published order; at most a tenth.
    """

    def __init__(
        self,
        *,
        name: str = "mnist",
        fallback: Literal["digits", "none"] = "digits",
        batch_size: PositiveInt = 128,
        eval_batch_size: PositiveInt = 500,
        val_size: NonNegativeInt = 5000,
    ) -> None:
        lookup(name)
        if name not in LOADERS:
            raise ConfigError(f"data.name must be one of {', '.join(LOADERS)} for images, received {name!r}")
        self.name, self.fallback = name, fallback
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size

    def prepare(self) -> None:
        name, reason = self.name, None
        try:
            splits, digest = LOADERS[name]()
        except UnavailableError as error:
            if self.fallback == "none":
                raise DataError(f"{error}, and data.fallback is none") from error
            name, reason = self.fallback, str(error)
            splits, digest = LOADERS[name]()
            notice(
                f"{reason}. This run uses scikit-learn's digits instead, scaled to 28x28: "
                "its figures say nothing about MNIST, and it gets no verdict."
            )
        self.info = DatasetInfo(name, digest, reason)
        (images, labels), self._test = splits
        held_out = min(self.val_size, len(images) // 10)
        kept = len(images) - held_out
        self._train, self._validation = (images[:kept], labels[:kept]), (images[kept:], labels[kept:])
        classes = int(labels.max()) + 1
        names = tuple(str(digit) for digit in range(classes))
        self.spec = DataSpec(InputSpec(tuple(images.shape[1:])), Classes(classes, names))

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._batches(self._train, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        if not len(self._validation[0]):
            return None
        return self._batches(self._validation, device, self.eval_batch_size)

    def test(self, device: torch.device) -> Batches:
        return self._batches(self._test, device, self.eval_batch_size)

    def _batches(self, split: Split, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        images, labels = (part.to(device) for part in split)
        return TensorBatches(images, labels, batch_size=batch_size, seed=seed, transform=unit_floats)


def unit_floats(batch: Batch, generator: torch.Generator) -> Batch:
    """Scale images from bytes to float32 in [0, 1]."""
    return replace(batch, inputs=batch.inputs.to(torch.float32).div_(255))  # type: ignore[union-attr]


def load_mnist() -> tuple[tuple[Split, Split], str]:
    """MNIST's 60,000 training and 10,000 test images. Raises UnavailableError or DamagedDataError."""
    files = fetch("mnist", announce=notice)

    def split(prefix: str) -> Split:
        images = read_idx(files[f"{prefix}-images-idx3-ubyte.gz"])
        return images.unsqueeze(1), read_idx(files[f"{prefix}-labels-idx1-ubyte.gz"]).long()

    return (split("train"), split("t10k")), lookup("mnist").sha256


def load_digits() -> tuple[tuple[Split, Split], str]:
    """scikit-learn's digits, scaled from 8x8 with 17 greys to 28x28 with 256: 1,297 to train on, 500 to test."""
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    images = F.interpolate(small, size=(28, 28), mode="bilinear").mul(255).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    digest = hashlib.sha256(bunch.images.astype(np.uint8).tobytes() + bunch.target.astype(np.uint8).tobytes())
    return ((images[:-500], labels[:-500]), (images[-500:], labels[-500:])), digest.hexdigest()


LOADERS = {"mnist": load_mnist, "digits": load_digits}


def read_idx(path: Path) -> Tensor:
    """Read a gzipped IDX file of bytes: two zeros, the type 8, the number of axes, their lengths, the data."""
    with gzip.open(path) as file:
        content = file.read()
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4)
    if content[:3] != b"\0\0\x08" or len(content) != 4 + 4 * axes + np.prod(shape, dtype=np.int64):
        raise DataError(f"{path} is not an IDX file of bytes")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape.tolist()).copy())
