"""Image data sets: MNIST and its kin, CIFAR-10, and scikit-learn's digits, which need no download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from lab.config.roles import Roles
from lab.config.types import DataPath, NonNegativeInt, PositiveInt
from lab.console.notices import notice
from lab.data.archive import content_hash, members
from lab.data.augment import Augment
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.batches import TensorBatches, Transform
from lab.data.catalog import lookup
from lab.data.download import fetch
from lab.data.obtain import STAND_IN, obtain, own, require_known
from lab.data.own.examples import Labelled, Split
from lab.data.own.idx import read_idx
from lab.data.own.images import read_images
from lab.data.own.splits import Examples, held_out
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError
from lab.system.files import sha256

VALIDATION = 5_000  # images held out where the config does not say


class Images(DataModule):
    """Labelled images, held as bytes on the training device and given to the model as float32 in [0, 1].

    Args:
        name: `mnist`, `fashion-mnist`, `kmnist`, `cifar10`, `digits` (8x8 images scaled to 28x28; the last 500 of 1,797
            are the test split) or `colour-digits`.
        fallback: data set to use where `name` cannot be downloaded; `stand-in` is the one that its entry in the catalog
            names, and `none` makes that an error.
        batch_size: images per training batch.
        eval_batch_size: images per validation and test batch.
        val_size: training images held out for validation, from the end of the published order; of the user's own
            images an equal share of each class. Where that is more than half of them, a tenth is held out.
        train_size: training images that are used, equally many of each class; null for all.
        subset: which random choice of `train_size` images.
        augment: random changes of training images; null for none.
        path: the user's own images: a folder with a folder for each class (and `train` and `test` around these, where
            the user has chosen what is tested), or with four IDX files; null for the data set of `name`.
        image_size: that the user's own images are resized to: the side of a square, or height and width; null for the
            size that most of them have.
    """

    roles = Roles(
        repeats=("subset",),
        only_with={"subset": "train_size"},
        task=("train_size", "image_size"),
        added={"train_size": None, "subset": 0, "path": None, "image_size": None},
    )

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
        path: DataPath | None = None,
        image_size: PositiveInt | list[PositiveInt] | None = None,
    ) -> None:
        require_known(name, fallback, LOADERS)
        if image_size is not None and path is None:
            raise ConfigError(f"data.image_size is for images of your own, in data.path; {name} has its own size")
        self.name, self.fallback = name, fallback
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size
        self.train_size, self.subset = train_size, subset
        self.augment, self.path = augment, path
        sides = [image_size] * 2 if isinstance(image_size, int) else image_size
        if sides and len(sides) != 2:
            raise ConfigError(f"data.image_size must be one side, or [height, width], received {image_size}")
        self.image_size = (sides[0], sides[1]) if sides else None

    def prepare(self) -> None:
        if self.path:
            loaded, self.info = own(self.path, lambda place: read_images(place, self.image_size))
        else:
            loaded, self.info = obtain(self.name, self.fallback, LOADERS)
        self.notes = loaded.notes
        self._whole = loaded.train
        images, _ = loaded.train
        if self.augment:
            self.augment.require_fitting(*images.shape[2:])
        self._train, self._validation = self._divided(loaded)
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

    def unchanged(self, device: torch.device) -> Batches:
        return _batches(self._whole, device, self.eval_batch_size)

    def _divided(self, loaded: Labelled) -> tuple[Split, Split]:
        """Return what is trained on, and what is held out for validation."""
        if loaded.validation is not None:
            if self.path and self.val_size != VALIDATION:
                self._tell(f"data.val_size={self.val_size} changes nothing: data.path has its own validation images")
            return loaded.train, loaded.validation
        images, labels = loaded.train
        size = self._held_out(len(images))
        if not loaded.contents:
            kept = len(images) - size
            return Split(images[:kept], labels[:kept]), Split(images[kept:], labels[kept:])
        chosen = torch.tensor(held_out(Examples(labels.tolist(), loaded.contents, loaded.classes), size))
        if size and self.val_size in (size, VALIDATION):  # otherwise it has been said
            self._tell(f"{int(chosen.sum()):,} of {len(images):,} training images are held out for validation")
        return Split(images[~chosen], labels[~chosen]), Split(images[chosen], labels[chosen])

    def _held_out(self, count: int) -> int:
        """Return how many of `count` training images are for validation."""
        if self.path and self.val_size == VALIDATION:
            return min(VALIDATION, count // 10)
        if self.val_size <= count // 2:
            return self.val_size
        if self.val_size != VALIDATION:
            self._tell(f"data.val_size is {self.val_size:,} of {count:,} training images; {count // 10:,} are held out")
        return count // 10

    def _tell(self, sentence: str) -> None:
        self.notes = [*self.notes, sentence]


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


def load_idx(name: str, classes: Sequence[str]) -> Labelled:
    """A data set in the form of MNIST: 60,000 training and 10,000 test images. Raises UnavailableError or
    DamagedDataError."""
    entry = lookup(name)
    files = fetch(entry, announce=notice)

    def split(prefix: str) -> Split:
        images = read_idx(files[f"{prefix}-images-idx3-ubyte.gz"])
        return Split(images.unsqueeze(1), read_idx(files[f"{prefix}-labels-idx1-ubyte.gz"]).long())

    digest = entry.sha256 or hashlib.sha256("".join(map(sha256, files.values())).encode()).hexdigest()
    return Labelled(split("train"), split("t10k"), tuple(classes), digest)


def load_cifar10() -> Labelled:
    """CIFAR-10's 50,000 training and 10,000 test images, in its binary form: the class, then 32x32 red, green and blue
    bytes. Raises UnavailableError or DamagedDataError."""
    found = members(lookup("cifar10"), announce=notice)

    def split(start: str) -> Split:
        content = b"".join(found[name] for name in sorted(found) if name.startswith(start))
        rows = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, 1 + 3 * 32 * 32)
        return Split(rows[:, 1:].reshape(-1, 3, 32, 32).contiguous(), rows[:, 0].long())

    return Labelled(split("data_batch"), split("test_batch"), PHOTOGRAPHS, content_hash(found))


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


def load_colour_digits() -> Labelled:
    """scikit-learn's digits, 32x32, each in a random colour on another, which are the same in every run."""
    grey, numbers = load_digits(), torch.Generator().manual_seed(0)

    def coloured(split: Split) -> Split:
        ink = F.pad(split.images, (2, 2, 2, 2)).float() / 255
        front, back = torch.rand(2, len(ink), 3, 1, 1, generator=numbers)
        back = torch.where((front - back).abs().amax(1, keepdim=True) < 0.5, (front + 0.5) % 1, back)
        return Split((ink * front + (1 - ink) * back).mul(255).round().to(torch.uint8), split.labels)

    train, test = coloured(grey.train), coloured(grey.test)
    digest = hashlib.sha256(train.images.numpy().tobytes() + test.images.numpy().tobytes())
    return Labelled(train, test, grey.classes, digest.hexdigest())


DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CHARACTERS = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
PHOTOGRAPHS = ("aeroplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "lorry")

LOADERS: dict[str, Callable[[], Labelled]] = {
    "mnist": partial(load_idx, "mnist", DIGITS),
    "digits": load_digits,
    "fashion-mnist": partial(load_idx, "fashion-mnist", CLOTHES),
    "kmnist": partial(load_idx, "kmnist", CHARACTERS),
    "cifar10": load_cifar10,
    "colour-digits": load_colour_digits,
}


def _batches(
    split: Split, device: torch.device, batch_size: int, seed: int | None = None, transform: Transform = unit_floats
) -> Batches:
    return TensorBatches(*split, device=device, batch_size=batch_size, seed=seed, transform=transform)
