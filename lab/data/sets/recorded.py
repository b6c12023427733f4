"""Recorded episodes as examples: what was seen in each step, and the numbers behind it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import Collected, DataPath, Fraction, PositiveInt
from lab.console.wording import count
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.batch import Batch
from lab.data.batches import TensorBatches
from lab.data.collected import require_made, require_made_so
from lab.data.obtain import own
from lab.data.own.episodes import read_episodes
from lab.data.spec import DataSpec, InputSpec, Values
from lab.errors import ConfigError, DataError

STAND_IN = "drawn-poles"
LEAST = 3  # episodes: one in each split


class Steps(NamedTuple):
    """Steps of episodes, each whole, one after the other.

    Args:
        observations: `(N, C, H, W)` or `(N, F)`, uint8 or float32.
        states: the numbers behind them, `(N, S)`, float32; None for none.
        names: of these.
        starts: true in the first step of an episode, `(N,)`.
        sha256: hash of all that.
    """

    observations: Tensor
    states: Tensor | None
    names: tuple[str, ...]
    starts: Tensor
    sha256: str


class Recorded(DataModule):
    """Steps of recorded episodes. The inputs are what was seen: pictures, kept as bytes and given to the model as
    float32 in [0, 1], or vectors. The targets are the named numbers behind them, such as the angle of a pole.

    The splits are made of whole episodes, in the order in which they were recorded: first those to train on, then
    validation, then test. Neighbouring steps look nearly alike, so a test step whose neighbours were trained on would
    be remembered rather than understood.

    Args:
        collected: the data set and how it is collected. `lab run NAME --make-needed` collects it where it is missing;
            null for the generated poles that stand in for it.
        path: folder of other episodes, which `lab collect` wrote; null for `collected`.
        batch_size: steps per training batch.
        eval_batch_size: steps per validation and test batch.
        val_share: share of the episodes that are held out for validation.
        test_share: share of the episodes that are tested.
    """

    roles = Roles(task=("collected", "test_share"))

    def __init__(
        self,
        *,
        collected: Collected | None = None,
        path: DataPath | None = None,
        batch_size: PositiveInt = 128,
        eval_batch_size: PositiveInt = 500,
        val_share: Fraction = 0.1,
        test_share: Fraction = 0.2,
    ) -> None:
        if val_share + test_share >= 1:
            raise ConfigError(
                f"data.val_share and data.test_share must leave episodes to train on, received {val_share:g} and "
                f"{test_share:g}"
            )
        self.collected, self.path = collected, path
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.val_share, self.test_share = val_share, test_share

    def prepare(self) -> None:
        if self.path:
            self.steps, self.info = own(self.path, _steps_in)
        elif self.collected:
            folder = require_made(self.collected)
            self.steps = _steps_in(folder, self.collected)
            self.info = DatasetInfo(self.collected.name, self.steps.sha256)
        else:
            self.steps = drawn_poles()
            self.info = DatasetInfo(STAND_IN, self.steps.sha256, "data.collected is null")
            self.notes = [
                f"data.collected is null, so this run uses {STAND_IN}: generated pictures of poles at random angles, "
                "which are no recorded episodes. Its figures get no verdict"
            ]
        seen, states = self.steps.observations, self.steps.states
        target = None if states is None else Values(tuple(states.shape[1:]), self.steps.names)
        self.spec = DataSpec(InputSpec(tuple(seen.shape[1:])), target)
        first = self.steps.starts.nonzero().flatten().tolist()  # steps at which episodes begin
        episodes = len(first)
        if episodes < LEAST:
            raise DataError(
                f"{self.info.name} has {count(episodes, 'episode')}, and one is needed for each of training, "
                "validation and test; collect more steps"
            )
        least = 1 if self.val_share else 0
        tested = min(max(1, round(self.test_share * episodes)), episodes - 1 - least)
        held_out = min(max(least, round(self.val_share * episodes)), episodes - 1 - tested)
        ends = [*first, len(seen)]
        train, validation = ends[episodes - tested - held_out], ends[episodes - tested]
        self.parts = slice(0, train), slice(train, validation), slice(validation, len(seen))

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return self._batches(self.parts[0], device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        part = self.parts[1]
        return self._batches(part, device, self.eval_batch_size) if part.start < part.stop else None

    def test(self, device: torch.device) -> Batches:
        return self._batches(self.parts[2], device, self.eval_batch_size)

    def unchanged(self, device: torch.device) -> Batches:
        return self._batches(slice(0, self.parts[1].stop), device, self.eval_batch_size)

    def _batches(self, part: slice, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        seen, states = self.steps.observations[part], self.steps.states
        targets = None if states is None else states[part]
        return TensorBatches(seen, targets, device=device, batch_size=batch_size, seed=seed, transform=as_floats)


def as_floats(batch: Batch, generator: torch.Generator) -> Batch:
    """Scale pictures from bytes to float32 in [0, 1]; vectors stay as they are."""
    seen, _ = batch
    return replace(batch, inputs=seen.float().div_(255)) if seen.dtype == torch.uint8 else batch


def _steps_in(folder: Path, wanted: Collected | None = None) -> Steps:
    """Return the steps in a folder of episodes. Raises ConfigError where they are not those that are wanted."""
    found = read_episodes(folder)
    if wanted:
        require_made_so(wanted, folder, found.description.get("options") or {})
    tensors = found.tensors
    return Steps(tensors["observations"], tensors.get("states"), found.names, tensors["starts"], found.sha256)


def drawn_poles(episodes: int = 60, length: int = 20, height: int = 20, width: int = 30) -> Steps:
    """Return pictures of a dark pole on a light ground, which sways and whose foot moves: a stand-in for CartPole.

    Each pixel is dark by how near it is to the pole, so that small movements are visible.
    """
    generator = torch.Generator().manual_seed(0)

    def walks(spread: float) -> Tensor:
        steps = torch.randn(episodes, length, generator=generator) * spread
        return steps.cumsum(1).flatten()

    position, angle = walks(0.15), walks(0.03).clamp(-0.5, 0.5)  # pixels, radians from the upright
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    foot, along = width / 2 + position[:, None, None], height - 3.0 - y
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    distance = ((x - foot) * cosine - along * sine).abs()  # from the line of the pole
    reach = (x - foot) * sine + along * cosine  # along it, from the foot
    dark = (2.5 - distance).clamp(0, 1) * (reach + 0.5).clamp(0, 1) * (0.7 * height - reach).clamp(0, 1)
    seen = (255 * (1 - dark)).round().to(torch.uint8).unsqueeze(1)
    states = torch.stack([position, angle], 1)
    starts = torch.arange(episodes * length) % length == 0
    digest = hashlib.sha256(seen.numpy().tobytes() + states.numpy().tobytes()).hexdigest()
    return Steps(seen, states, ("position", "angle"), starts, digest)
