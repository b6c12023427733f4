"""The interface between the runner and an experiment: prepare, train, evaluate, draw, save and restore."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.console.progress import Progress
from lab.data.base import DatasetInfo
from lab.data.sound import Sound
from lab.errors import ConfigError
from lab.saving.checkpoint import Checkpoint
from lab.saving.saver import Cadence, CheckpointSettings, Saver
from lab.system.files import write_atomic
from lab.tracking.base import Tracker

if TYPE_CHECKING:
    from PIL.Image import Image

State = dict[str, Tensor]


@dataclass(frozen=True)
class RunContext:
    """What a run gives to its experiment.

    Args:
        dir: the run folder.
        seed: of the run.
        device: to train on.
        tracker: receives metrics and media, each on an axis of its own.
        fast_dev_run: do only a little of every stage.
        saver: to be called at every safe point in training; None where nothing is trained.
        restored: the checkpoint to resume from; None for a new run.
    """

    dir: Path
    seed: int
    device: torch.device
    tracker: Tracker
    fast_dev_run: bool = False
    saver: Saver | None = None
    restored: Checkpoint | None = None

    def progress(self, stage: str, total: int, unit: str, *, start: int = 0) -> Progress:
        """Return a progress bar, a context manager. `start` units were done in an earlier session."""
        return Progress(stage, total, unit, start=start)

    def picture(self, name: str, image: Image | list[Image], *, axis: str, at: int) -> None:
        """Save a picture called `group/name` as `media/<group>-<name>-<at>.png`, or a film's frames as GIF, and
        track it. The group `pictures` is left out of the file's name."""
        drawn = BytesIO()
        if isinstance(image, list):
            each = [one.info.get("duration", 40) for one in image]  # milliseconds
            image[0].save(drawn, "GIF", save_all=True, append_images=image[1:], duration=each, loop=0, optimize=True)
        else:
            image.save(drawn, "PNG")
        self._media(name, ".gif" if isinstance(image, list) else ".png", drawn.getvalue(), axis=axis, at=at)

    def text(self, name: str, text: str, *, axis: str, at: int) -> None:
        """Save a text called `group/name` as `media/<group>-<name>-<at>.txt` in UTF-8, and track it."""
        self._media(name, ".txt", text.encode("utf-8", "replace"), axis=axis, at=at)

    def sound(self, name: str, sound: Sound, *, axis: str, at: int) -> None:
        """Save a sound called `group/name` as `media/<group>-<name>-<at>.wav`, and track it."""
        self._media(name, ".wav", sound.wav(), axis=axis, at=at)

    def _media(self, name: str, suffix: str, content: bytes, *, axis: str, at: int) -> None:
        path = self.dir / "media" / f"{name.removeprefix('pictures/').replace('/', '-')}-{at:08d}{suffix}"
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, content)  # on the disk before any checkpoint that comes after it
        self.tracker.media(name, path, axis=axis, at=at)


@dataclass(frozen=True)
class Throughput:
    """How much was trained in this run, and its unit. The runner divides it by the training time."""

    amount: float
    unit: str


@dataclass(frozen=True)
class Timing:
    """How the time of training was divided.

    Args:
        steps: number of steps, as the experiment counts them.
        seconds: time of each part of the training loop, by name. Their sum is the whole time.
    """

    steps: int
    seconds: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self.steps / sum(self.seconds.values())


class Alternative(NamedTuple):
    """A setting, `key=value`, that may make training faster, and a sentence on what else it changes."""

    setting: str
    remark: str = ""


Turn = Callable[[float], Timing]
"""Trains for about the given number of seconds, and returns how the time was divided."""


class Experiment(ABC):
    """One kind of experiment. Its constructor's signature is the schema of its config.

    The runner calls `prepare`, `cadence`, `train`, `states`, `artifacts`, `evaluate`, `draw` and `baselines`, in this
    order. `lab eval` calls `prepare`, `load_states` and `evaluate`, and must give the same figures.
    """

    family: ClassVar[str]
    lengths: ClassVar[tuple[str, ...]]
    """The settings that say how long to train, by dotted name: a finished run may be resumed with more of one."""
    total_steps: int | None = None
    """Steps of the whole training, in the steps of `cadence`; known after `prepare`, None where nothing checks it."""
    notes: Sequence[str] = ()
    """What the user should know once everything is known to be right, one sentence each; known after `prepare`."""
    judged: str = ""
    """Which weights are evaluated and exported, in words; empty for the last ones."""
    descriptions: Mapping[str, str] = {}
    """What metrics mean (protocol, samples, units), where the name alone does not tell."""
    step: ClassVar[str] = "step"
    """What `trial` counts."""
    roles: ClassVar[Roles] = Roles()
    """Which settings of the experiment are budget, protocol and so on."""
    parts: Mapping[str, str] = {}
    """Descriptions of the parts of the training loop that `trial` times."""

    @abstractmethod
    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Build everything. Raises a LabError for everything that can be wrong with the config, the data or the
        environment; the run folder does not exist yet."""

    @abstractmethod
    def cadence(self, wish: CheckpointSettings) -> Cadence:
        """Return how often to save, in the steps that `train` counts. Raises ConfigError if `wish` is impossible."""

    @abstractmethod
    def train(self, context: RunContext) -> Throughput:
        """Train to the end, from the start or from `context.restored`. Call `context.saver` at every safe point: the
        rest of the training must depend only on the state that is given there."""

    @abstractmethod
    def evaluate(self, context: RunContext) -> dict[str, float]:
        """Return the final metrics by flat names such as `test/accuracy`."""

    @abstractmethod
    def draw(self, context: RunContext) -> None:
        """Draw the final pictures; called after `evaluate`, and not by `lab eval`."""

    @abstractmethod
    def states(self) -> dict[str, State]:
        """Return what `evaluate` needs, by checkpoint name: always `final`, and `best` where one was chosen."""

    @abstractmethod
    def load_states(self, states: dict[str, State]) -> None:
        """Restore what `states` returned."""

    def trial(self, context: RunContext) -> AbstractContextManager[Turn]:
        """Return a context manager for `lab doctor`, after `prepare`. Inside the block each call of the yielded
        function trains for a turn, without evaluations and checkpoints. Raises ConfigError if that is impossible."""
        raise ConfigError(f"{type(self).__name__} cannot be timed: it has no trial()")

    def alternatives(self) -> Sequence[Alternative]:
        """Return other settings that may be faster and are worth timing; called after `prepare`."""
        return ()

    @property
    def inexact(self) -> str | None:
        """Why a resumed run may differ from an uninterrupted one on the CPU; None if it cannot differ."""
        return None

    @property
    @abstractmethod
    def dataset(self) -> DatasetInfo:
        """The data set or environment that is actually used; known after `prepare`."""

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        """Return what other experiments can use: the artifact's name (`encoder`, `codebook`), and a function that
        writes it into a folder as safetensors and JSON."""
        return {}

    def baselines(self, context: RunContext) -> Mapping[str, Mapping[str, float]]:
        """Return the metrics of the simplest methods worth comparing with, on the same split, by the method's name."""
        return {}

    @property
    def trained(self) -> object:
        """The trained object, with its capabilities (`lab.capabilities`)."""
        return self
