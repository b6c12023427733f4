"""Scenes: images with several digits each, of known places, made from images of single digits."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.batch import Batch
from lab.data.batches import TensorBatches
from lab.data.obtain import STAND_IN, obtain, require_known
from lab.data.own.examples import Split
from lab.data.sets.images import LOADERS
from lab.data.spec import Boxes, DataSpec, InputSpec, Masks
from lab.errors import ConfigError

INK = 0.35  # grey value from which a pixel belongs to its digit
SMALLEST, LARGEST = 0.6, 1.4  # of the digits, times their own size
OVERLAP = 0.2  # of the smaller of two boxes
TRIES = 60  # places that are tried for a digit before it is left out

# Dimensions: N scenes, M digits of a scene at most, S side of a scene.


class Drawn(NamedTuple):
    """Scenes `(N, 1, S, S)` in [0, 1], the class of each pixel `(N, S, S)`, from 1, and boxes `(N, M, 5)`: left, top,
    right and bottom in pixels, and class; -1 where there are fewer."""

    images: Tensor
    masks: Tensor
    boxes: Tensor


class Scenes(DataModule):
    """Black squares with some digits, scaled by 0.6 to 1.4, whose boxes overlap by a fifth of the smaller at most.

    Scenes for training, validation and test are made of the training digits, of others that are held out of them, and
    of the test digits. They are the same for all seeds.

    Args:
        name: of the digits, as for Images.
        fallback: digits to use where `name` cannot be downloaded.
        targets: `masks` has the class of each pixel, 0 for the background; `boxes` has the digits' boxes.
        side: of a scene, in pixels.
        most: digits in a scene; each has 1 to so many, or fewer where they find no place.
        train_size: scenes for training.
        val_size: for validation.
        test_size: for the test.
        batch_size: scenes per training batch.
        eval_batch_size: scenes per validation and test batch.
    """

    def __init__(
        self,
        *,
        name: str = "mnist",
        fallback: str = STAND_IN,
        targets: Literal["masks", "boxes"] = "masks",
        side: PositiveInt = 64,
        most: PositiveInt = 4,
        train_size: PositiveInt = 10_000,
        val_size: NonNegativeInt = 500,
        test_size: PositiveInt = 2_000,
        batch_size: PositiveInt = 32,
        eval_batch_size: PositiveInt = 100,
    ) -> None:
        require_known(name, fallback, LOADERS)
        self.name, self.fallback, self.targets, self.side, self.most = name, fallback, targets, side, most
        self.train_size, self.val_size, self.test_size = train_size, val_size, test_size
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def prepare(self) -> None:
        loaded, digits = obtain(self.name, self.fallback, LOADERS)
        largest = round(LARGEST * max(loaded.train.images.shape[2:]))
        if self.side < largest:
            raise ConfigError(f"data.side must be at least {largest} for digits of this size, received {self.side}")
        kept = len(loaded.train.labels) * 9 // 10
        parts = (
            (Split(*(part[:kept] for part in loaded.train)), self.train_size),
            (Split(*(part[kept:] for part in loaded.train)), self.val_size),
            (loaded.test, self.test_size),
        )
        self._train, self._validation, self._test = (
            (part, placed(part, size, self.side, self.most, seed)) for seed, (part, size) in enumerate(parts)
        )
        names = loaded.classes
        target = Masks(len(names) + 1, ("background", *names)) if self.targets == "masks" else Boxes(len(names), names)
        places = (self._train[1], self._validation[1], self._test[1])
        content = hashlib.sha256(
            str(digits.sha256).encode() + b"".join(one.numpy().tobytes() for one in places)
        ).hexdigest()
        self.info = DatasetInfo(f"scenes of {digits.name}", content, digits.fallback)
        self.spec = DataSpec(InputSpec((1, self.side, self.side)), target)

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._batches(self._train, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        return self._batches(self._validation, device, self.eval_batch_size) if self.val_size else None

    def test(self, device: torch.device) -> Batches:
        return self._batches(self._test, device, self.eval_batch_size)

    def _batches(
        self, part: tuple[Split, Tensor], device: torch.device, batch_size: int, seed: int | None = None
    ) -> Batches:
        """Scenes are drawn on the device when their batch is due: a table of places takes less memory than they do."""
        digits, places = Split(*(one.to(device) for one in part[0])), part[1]

        def draw(batch: Batch, generator: torch.Generator) -> Batch:
            drawn = scenes(digits, batch.inputs, self.side)  # type: ignore[arg-type]
            return Batch(drawn.images, drawn.masks if self.targets == "masks" else drawn.boxes)

        return TensorBatches(places, device=device, batch_size=batch_size, seed=seed, transform=draw)


def placed(digits: Split, count: int, side: int, most: int, seed: int) -> Tensor:
    """Return for so many scenes which of the digits they have, by how much each is scaled, and where the upper left
    corner of its image lies: `(N, M, 4)`, float64; all -1 where there are fewer. It follows from the seed."""
    numbers = torch.Generator().manual_seed(seed)
    around = _tight(digits.images)
    places, boxes = torch.full((count, most, 4), -1.0, dtype=torch.float64), torch.full((count, most, 4), -1.0)
    wanted = torch.randint(1, most + 1, (count,), generator=numbers)
    for i in range(most):
        chosen = torch.randint(len(digits.labels), (count,), generator=numbers)
        scale = SMALLEST + (LARGEST - SMALLEST) * torch.rand(count, generator=numbers)
        size = around[chosen] * scale[:, None]  # (N, 4)
        corner, fits = _corner(size, boxes[:, :i], wanted > i, side, numbers)
        boxes[:, i] = torch.where(fits[:, None], size + corner.repeat(1, 2), boxes[:, i])
        found = torch.cat([chosen[:, None], scale[:, None], corner], 1).double()
        places[:, i] = torch.where(fits[:, None], found, places[:, i])
    return places


def scenes(digits: Split, places: Tensor, side: int) -> Drawn:
    """Draw scenes of digits `(D, 1, H, W)`, bytes, at places `(N, M, 4)`. Where digits overlap, a pixel belongs to the
    brighter one."""
    count, most, device = len(places), places.shape[1], places.device
    images = torch.zeros(count, side, side, device=device)
    masks = torch.zeros(count, side, side, dtype=torch.long, device=device)
    boxes = torch.full((count, most, 5), -1.0, device=device)
    for i in range(most):
        there = places[:, i, 0] >= 0
        chosen, (scale, *corner) = places[there, i, 0].long(), places[there, i, 1:].float().unbind(1)
        digit, labels, at = digits.images[chosen], digits.labels[chosen], torch.stack(corner, 1)
        drawn = _scaled(digit[:, 0].float() / 255, scale, at, side)
        belongs = (drawn > INK) & (drawn >= images[there])
        masks[there] = torch.where(belongs, labels[:, None, None] + 1, masks[there])
        images[there] = torch.maximum(images[there], drawn)
        boxes[there, i] = torch.cat([_tight(digit) * scale[:, None] + at.repeat(1, 2), labels[:, None].float()], 1)
    return Drawn(images[:, None], masks, boxes)


def _tight(images: Tensor) -> Tensor:
    """Return the box around the ink of each digit `(N, 1, H, W)`: left, top, right, bottom, `(N, 4)`."""
    inked = images[:, 0] > INK * 255
    edges = []
    for axis in (1, 2):  # over rows: which columns have ink; then the rows
        line = inked.any(axis).float()
        edges.append((line.argmax(1), line.shape[1] - line.flip(1).argmax(1)))
    (left, right), (top, bottom) = edges
    return torch.stack([left, top, right, bottom], 1).float()


def _corner(size: Tensor, others: Tensor, wanted: Tensor, side: int, numbers: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return where the upper left corner of each digit comes to lie, `(N, 2)`, and whether there is room for it.

    Args:
        size: box of each digit relative to that corner, `(N, 4)`.
        others: boxes that are there already, `(N, m, 4)`.
        wanted: scenes that are to have the digit, `(N,)`.
    """
    corner, fits = torch.zeros(len(size), 2), ~wanted
    room = side - (size[:, 2:] - size[:, :2])  # (N, 2)
    for _ in range(TRIES):
        if fits.all():
            break
        proposed = torch.rand(len(size), 2, generator=numbers) * room - size[:, :2]
        good = ~fits & (_overlap(size + proposed.repeat(1, 2), others) <= OVERLAP).all(1)
        corner, fits = torch.where(good[:, None], proposed, corner), fits | good
    return corner, fits & wanted


def _overlap(box: Tensor, others: Tensor) -> Tensor:
    """Return which share of the smaller box each of `(N, m, 4)` has in common with `(N, 4)`: `(N, m)`."""
    box = box[:, None]
    common = torch.minimum(box[..., 2:], others[..., 2:]) - torch.maximum(box[..., :2], others[..., :2])
    areas = [(one[..., 2:] - one[..., :2]).prod(-1) for one in (box, others)]
    return common.clamp(min=0).prod(-1) / torch.minimum(*areas).clamp(min=1e-6)


def _scaled(digit: Tensor, scale: Tensor, corner: Tensor, side: int) -> Tensor:
    """Return each of `(N, H, W)` scaled, with its upper left corner at `(N, 2)`, x and y, on a black square
    `(N, S, S)`."""
    height, width = digit.shape[1:]
    pixels = torch.arange(side, device=digit.device) + 0.5
    x = (pixels - corner[:, :1]) / (scale[:, None] * width) * 2 - 1  # (N, S), in the digit from -1 to 1
    y = (pixels - corner[:, 1:]) / (scale[:, None] * height) * 2 - 1
    grid = torch.stack([x[:, None].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], 3)
    return F.grid_sample(digit[:, None], grid, align_corners=False)[:, 0]
