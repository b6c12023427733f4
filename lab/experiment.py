"""What the runner knows of an experiment: it can be prepared, trained, evaluated, saved and restored."""

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
    """What a run lends its experiment.

    Args:
        dir: the run folder.
        seed: of the run.
        device: to train on.
        tracker: for metrics, by their own axes.
        fast_dev_run: touch every stage, each for moments only.
        saver: to be told of every safe point in training; None where nothing is trained.
        restored: the checkpoint to go on from; None at a run's beginning.
    """

    dir: Path
    seed: int
    device: torch.device
    tracker: Tracker
    fast_dev_run: bool = False
    saver: Saver | None = None
    restored: Checkpoint | None = None

    def progress(self, stage: str, total: int, unit: str, *, start: int = 0) -> Progress:
        """Return a progress bar to be used in a `with` statement; `start` units were done in an earlier session."""
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
    """How much was trained in all, and its unit: the runner divides by the seconds."""

    amount: float
    unit: str


@dataclass(frozen=True)
class Timing:
    """Where the time went while an experiment trained.

    Args:
        steps: done in that time, as the experiment counts them.
        seconds: of each part of the training loop, by name; together all of the time.
    """

    steps: int
    seconds: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self.steps / sum(self.seconds.values())


class Alternative(NamedTuple):
    """A setting that may train as well and faster: `key=value`, and what else it changes, as a sentence."""

    setting: str
    remark: str = ""


Turn = Callable[[float], Timing]
"""Trains for about so many seconds more, and says where they went."""


class Experiment(ABC):
    """One kind of experiment. Its constructor's signature is the schema of its config.

    The runner calls `prepare`, `cadence`, `train`, `evaluate`, `draw` in this order; `lab eval` calls `prepare`,
    `load_states`, `evaluate`, and must come to the same figures.
    """

    family: ClassVar[str]
    lengths: ClassVar[tuple[str, ...]]
    """The settings that say how long to train, by dotted name: a finished run may be resumed with more of one."""
    total_steps: int | None = None
    """Steps of the whole training, in the steps of `cadence`; known after `prepare`, None where nothing checks it."""
    judged: str = ""
    """Which weights are evaluated and exported, in words; empty where they are simply the last ones."""
    descriptions: Mapping[str, str] = {}
    """What the metrics mean where the name alone does not say: protocol, samples, units."""
    step: ClassVar[str] = "step"
    """What `trial` counts."""
    roles: ClassVar[Roles] = Roles()
    """Which settings of the experiment are budget, protocol and so on."""
    parts: Mapping[str, str] = {}
    """Parts of the training loop that `trial` times, in plain words."""

    @abstractmethod
    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Build everything. What can be wrong with the config, the data or the environment is raised here,
        as a LabError, before the run folder exists."""

    @abstractmethod
    def cadence(self, wish: CheckpointSettings) -> Cadence:
        """Return how often to save, in the steps that `train` counts. Raises ConfigError where `wish` cannot be met."""

    @abstractmethod
    def train(self, context: RunContext) -> Throughput:
        """Train to the end, from the beginning or from `context.restored`, telling `context.saver` of every safe
        point. Whatever happens from there on must follow from the state given at that point alone."""

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
        """Take back what `states` returned."""

    def trial(self, context: RunContext) -> AbstractContextManager[Turn]:
        """Return what `lab doctor` times, after `prepare` and without evaluations and checkpoints: inside the block
        each call trains for a turn, and the result is of no other use. Raises ConfigError where it cannot be had."""
        raise ConfigError(f"{type(self).__name__} cannot be timed: it has no trial()")

    def alternatives(self) -> Sequence[Alternative]:
        """Return settings that are worth a trial in place of those given; known after `prepare`."""
        return ()

    @property
    def inexact(self) -> str | None:
        """Why a resumed run may differ from one that was never interrupted; None where it cannot, on the CPU."""
        return None

    @property
    @abstractmethod
    def dataset(self) -> DatasetInfo:
        """The data set or environment that is really used; known after `prepare`."""

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        """Return what others can use of the trained thing: the artifact's name (`encoder`, `codebook`), and what writes
        it into a folder as safetensors and JSON."""
        return {}

    def baselines(self, context: RunContext) -> Mapping[str, Mapping[str, float]]:
        """Return the metrics of the simplest things one would try, on the same split, by the baseline's name."""
        return {}

    @property
    def trained(self) -> object:
        """What was trained, with the capabilities that it has (`lab.capabilities`)."""
        return self
