"""Recorded episodes as examples: what was seen in each step, and the numbers behind it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

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
from lab.data.spec import Classes, DataSpec, InputSpec, Target, Values
from lab.errors import ConfigError, DataError

STAND_IN, BALANCED = "drawn-poles", "balanced-poles"
LEAST = 3  # episodes: one in each split


class Steps(NamedTuple):
    """Steps of episodes, each whole, one after the other.

    Args:
        observations: `(N, C, H, W)` or `(N, F)`, uint8 or float32.
        states: the numbers behind them, `(N, S)`, float32; None for none.
        names: of these.
        starts: true in the first step of an episode, `(N,)`.
        actions: that were taken, `(N, ...)`; None where nothing acted.
        returns: undiscounted, of the episodes that came to an end.
        sha256: hash of all that.
    """

    observations: Tensor
    states: Tensor | None
    names: tuple[str, ...]
    starts: Tensor
    actions: Tensor | None
    returns: Tensor
    sha256: str


class Recorded(DataModule):
    """Steps of recorded episodes. The inputs are what was seen: pictures, kept as bytes and given to the model as
    float32 in [0, 1], or vectors. The targets are the named numbers behind them, such as the angle of a pole; or what
    was done.

    The splits are made of whole episodes, in the order in which they were recorded: first those to train on, then
    validation, then test. Neighbouring steps look nearly alike, so a test step whose neighbours were trained on would
    be remembered rather than understood.

    Args:
        collected: the data set and how it is collected. `lab run NAME --make-needed` collects it where it is missing;
            null for the generated poles that stand in for it.
        targets: `states`, the numbers behind what was seen; or `actions`, which must be discrete.
        path: folder of other episodes, which `lab collect` wrote; null for `collected`.
        batch_size: steps per training batch.
        eval_batch_size: steps per validation and test batch.
        val_share: share of the episodes that are held out for validation.
        test_share: share of the episodes that are tested.
    """

    roles = Roles(task=("collected", "targets", "test_share"), added={"targets": "states"})

    def __init__(
        self,
        *,
        collected: Collected | None = None,
        targets: Literal["states", "actions"] = "states",
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
        self.collected, self.targets, self.path = collected, targets, path
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
            name, told, make = {
                "states": (STAND_IN, "pictures of poles at random angles", drawn_poles),
                "actions": (BALANCED, "steps of poles that a fixed rule balances", balanced_poles),
            }[self.targets]
            self.steps = make()
            self.info = DatasetInfo(name, self.steps.sha256, "data.collected is null")
            self.notes = [
                f"data.collected is null, so this run uses {name}: generated {told}, which are no recorded episodes. "
                "Its figures get no verdict"
            ]
        seen = self.steps.observations
        self.spec = DataSpec(InputSpec(tuple(seen.shape[1:])), self._target())
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

    def _target(self) -> Target | None:
        """Return the form of the targets. Raises ConfigError where actions are wanted and are not discrete."""
        states, actions = self.steps.states, self.steps.actions
        if self.targets == "states":
            return None if states is None else Values(tuple(states.shape[1:]), self.steps.names)
        if actions is None or actions.dtype != torch.int64 or actions.ndim != 1 or actions.min() < 0:
            has = "none" if actions is None else f"{actions.dtype} of shape {tuple(actions.shape)}"
            raise ConfigError(
                f"data.targets: actions needs one discrete action for each step of {self.info.name}, received {has}"
            )
        return Classes(int(actions.max()) + 1)

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
        seen = self.steps.observations[part]
        wanted = self.steps.states if self.targets == "states" else self.steps.actions
        targets = None if wanted is None else wanted[part]
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
    over = tensors["terminations"] | tensors["truncations"]
    return Steps(
        tensors["observations"],
        tensors.get("states"),
        found.names,
        tensors["starts"],
        tensors["actions"],
        whole_returns(tensors["rewards"], tensors["starts"], over),
        found.sha256,
    )


def whole_returns(rewards: Tensor, starts: Tensor, over: Tensor) -> Tensor:
    """Return the undiscounted return of each episode that came to an end, `(E,)`, given for each step its reward, and
    whether an episode starts with it or is over after it."""
    episode = starts.long().cumsum(0) - 1
    returns = torch.zeros(int(starts.sum()), dtype=torch.float64).index_add_(0, episode, rewards.double())
    return returns[episode[over]]


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
    return Steps(seen, states, ("position", "angle"), starts, None, torch.zeros(0), digest)


def balanced_poles(episodes: int = 40, length: int = 50) -> Steps:
    """Return steps of a pole on a cart (Barto, Sutton & Anderson 1983), which is pushed to the side that the pole leans
    and moves to: a stand-in for recorded episodes of an agent. The actions are 0, to the left, and 1."""
    generator = torch.Generator().manual_seed(0)
    state = 0.1 * torch.rand(episodes, 4, generator=generator) - 0.05
    seen, actions = [], []
    for _ in range(length):
        position, velocity, angle, turning = state.T
        action = angle + 0.3 * turning + 0.02 * position + 0.05 * velocity > 0
        seen.append(state)
        actions.append(action.long())
        push = (20.0 * action - 10 + 0.05 * turning**2 * angle.sin()) / 1.1
        bend = (9.8 * angle.sin() - angle.cos() * push) / (0.5 * (4 / 3 - 0.1 * angle.cos() ** 2 / 1.1))
        pull = push - 0.05 * bend * angle.cos() / 1.1
        state = state + 0.02 * torch.stack([velocity, pull, turning, bend], 1)
    whole = torch.stack(seen, 1).flatten(0, 1)
    starts = torch.arange(episodes * length) % length == 0
    digest = hashlib.sha256(whole.numpy().tobytes()).hexdigest()
    names = ("position", "velocity", "angle", "angular_velocity")
    returns = torch.full((episodes,), float(length))
    return Steps(whole, whole, names, starts, torch.stack(actions, 1).flatten(), returns, digest)
