"""Image data sets: MNIST, and scikit-learn's digits, which need no download."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.augment import Augment
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.batches import TensorBatches, Transform
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.data.obtain import STAND_IN, obtain, require_known
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError, DataError

VALIDATION = 5_000  # images held out where the config does not say


class Split(NamedTuple):
    """Images `(N, C, H, W)`, uint8, and their classes `(N,)`, int64."""

    images: Tensor
    labels: Tensor


class Labelled(NamedTuple):
    """What a loader returns: both splits, the names of the classes, and a hash of all that."""

    train: Split
    test: Split
    classes: tuple[str, ...]
    sha256: str


class Images(DataModule):
    """Labelled images, held as bytes on the training device and given to the model as float32 in [0, 1].

    Args:
        name: `mnist` or `digits` (8x8 images scaled to 28x28; the last 500 of 1,797 are the test split).
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        batch_size: images per training batch.
        eval_batch_size: images per validation and test batch.
        val_size: training images held out for validation, from the end of the published order. Where
            that is more than half of them, a tenth is held out.
        train_size: training images that are used, equally many of each class; null for all.
        subset: which random choice of `train_size` images.
        augment: random changes of training images; null for none.
    """

    roles = Roles(repeats=("subset",), task=("train_size",), added={"train_size": None, "subset": 0})

    def __init__(
        self,
        *,
        name: str = "mnist",
        fallback: str = STAND_IN,
        batch_size: PositiveInt = 128,
        eval_batch_size: PositiveInt = 500,
        val_size: NonNegativeInt = VALIDATION,
        train_size: PositiveInt | None = None,
        subset: NonNegativeInt = 0,
        augment: Augment | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback = name, fallback
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size
        self.train_size, self.subset = train_size, subset
        self.augment = augment

    def prepare(self) -> None:
        loaded, self.info = obtain(self.name, self.fallback, LOADERS)
        images, labels = loaded.train
        kept = len(images) - self._held_out(len(images))
        self._train, self._validation = Split(images[:kept], labels[:kept]), Split(images[kept:], labels[kept:])
        if self.train_size:
            self._train = balanced(self._train, self.train_size, len(loaded.classes), self.subset)
        self._test = loaded.test
        self.spec = DataSpec(InputSpec(tuple(images.shape[1:])), Classes(len(loaded.classes), loaded.classes))

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        augment = self.augment

        def augmented(batch: Batch, generator: torch.Generator) -> Batch:
            batch = unit_floats(batch, generator)
            return augment(batch, generator) if augment else batch

        return _batches(self._train, device, batch_size or self.batch_size, seed, augmented)

    def validation(self, device: torch.device) -> Batches | None:
        return _batches(self._validation, device, self.eval_batch_size) if len(self._validation.labels) else None

    def test(self, device: torch.device) -> Batches:
        return _batches(self._test, device, self.eval_batch_size)

    def _held_out(self, count: int) -> int:
        """Return how many of `count` training images are for validation."""
        if self.val_size <= count // 2:
            return self.val_size
        if self.val_size != VALIDATION:
            self.notes = [
                f"data.val_size is {self.val_size:,} of {count:,} training images; {count // 10:,} are held out"
            ]
        return count // 10


def balanced(split: Split, size: int, classes: int, seed: int) -> Split:
    """Return `size` random examples, equally many of each class. Raises ConfigError where there are too few."""
    each, rest = divmod(size, classes)
    fewest = int(torch.bincount(split.labels, minlength=classes).min())
    if rest or each > fewest:
        raise ConfigError(
            f"data.train_size must be a multiple of the {classes} classes and at most {fewest * classes:,}, as the "
            f"rarest class has {fewest:,} training images; received {size:,}"
        )
    order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(seed))
    chosen = torch.cat([order[split.labels[order] == label][:each] for label in range(classes)])
    return Split(split.images[chosen], split.labels[chosen])


def unit_floats(batch: Batch, generator: torch.Generator) -> Batch:
    """Scale images from bytes to float32 in [0, 1]."""
    images, _ = batch
    return replace(batch, inputs=images.to(torch.float32).div_(255))


def load_mnist() -> Labelled:
    """MNIST's 60,000 training and 10,000 test images. Raises UnavailableError or DamagedDataError."""
    entry = lookup("mnist")
    files = fetch(entry, announce=notice)

    def split(prefix: str) -> Split:
        images = read_idx(files[f"{prefix}-images-idx3-ubyte.gz"])
        return Split(images.unsqueeze(1), read_idx(files[f"{prefix}-labels-idx1-ubyte.gz"]).long())

    return Labelled(split("train"), split("t10k"), tuple("0123456789"), entry.sha256)


def load_digits() -> Labelled:
    """scikit-learn's digits, scaled from 8x8 with 17 greys to 28x28 with 256: 1,297 to train on, 500 to test."""
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    images = F.interpolate(small, size=(28, 28), mode="bilinear").mul(255).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    digest = hashlib.sha256(bunch.images.astype(np.uint8).tobytes() + bunch.target.astype(np.uint8).tobytes())
    names = tuple(str(name) for name in bunch.target_names)
    return Labelled(Split(images[:-500], labels[:-500]), Split(images[-500:], labels[-500:]), names, digest.hexdigest())


LOADERS: dict[str, Callable[[], Labelled]] = {"mnist": load_mnist, "digits": load_digits}


def read_idx(path: Path) -> Tensor:
    """Read a gzipped IDX file of bytes: two zeros, the type 8, the number of axes, their lengths, the data."""
    with gzip.open(path) as file:
        content = file.read()
    axes = content[3] if len(content) > 3 else 0
    shape = np.frombuffer(content, ">u4", count=axes, offset=4)
    if content[:3] != b"\0\0\x08" or len(content) != 4 + 4 * axes + np.prod(shape, dtype=np.int64):
        raise DataError(f"{path} is not an IDX file of bytes")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape.tolist()).copy())


def _batches(
    split: Split, device: torch.device, batch_size: int, seed: int | None = None, transform: Transform = unit_floats
) -> Batches:
    return TensorBatches(*split, device=device, batch_size=batch_size, seed=seed, transform=transform)
