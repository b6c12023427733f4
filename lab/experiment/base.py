"""The interface between the runner and an experiment: prepare, train, evaluate, draw, save and restore."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lab.config.roles import Roles
from lab.data.base import DatasetInfo
from lab.errors import ConfigError
from lab.experiment.context import RunContext
from lab.experiment.timing import Alternative, Throughput, Turn
from lab.saving.checkpoint import Checkpoint
from lab.saving.saver import Cadence, CheckpointSettings

State = dict[str, Tensor]
"""Weights and buffers by name."""


class Experiment(ABC):
    """One kind of experiment. Its constructor's signature is the schema of its config.

    The runner calls `prepare`, `cadence`, `train`, `states`, `artifacts`, `evaluate`, `draw`, `baselines` and
    `bounds`, in this order. `lab eval` calls `prepare`, `load_states` and `evaluate`, and must give the same figures.
    `lab.load` calls `rebuild` and `load_states`, or `prepare` where no form was saved.
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

    def steps_of(self, lengths: Mapping[str, Any]) -> int | None:
        """Return how many steps a training of these `lengths` has, by dotted names of the settings; called after
        `prepare`. None where nobody knows."""
        length = next(iter(lengths.values()), None)
        return length if len(lengths) == 1 and isinstance(length, int) else None

    @abstractmethod
    def cadence(self, wish: CheckpointSettings) -> Cadence:
        """Return how often to save, in the steps that `train` counts. Raises ConfigError if `wish` is impossible."""

    @classmethod
    def ended(cls, restored: Checkpoint) -> str | None:
        """Return what ended the training before its length, and would end a longer one at once, in a sentence that says
        what to change; None where nothing did. `restored` is its last checkpoint."""
        return None

    def misfit(self, restored: Checkpoint, changed: Collection[str]) -> str | None:
        """Return why training cannot continue from a checkpoint that was written with other settings, or None; called
        after `prepare`, before anything is written. `changed` are their dotted names."""
        return None

    def lacks(self, restored: Checkpoint) -> Sequence[str]:
        """Return what the training until a checkpoint had and this machine has not, in words: without it, the run can
        go on, but not exactly."""
        return []

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
    def load_states(self, states: Mapping[str, State]) -> None:
        """Restore what `states` returned. A state is read from its checkpoint when it is taken from the mapping."""

    def form(self) -> dict[str, Any] | None:
        """Return as JSON values what `rebuild` needs beside config and states; None where only `prepare` can build what
        was trained. Called after training; saved with the states."""
        return None

    def rebuild(self, form: Mapping[str, Any], device: torch.device) -> None:
        """Build what was trained from its `form`, without its data, in place of `prepare`: then `load_states` and
        `trained` work, and nothing else. Raises CheckpointError where the form cannot be read."""
        raise NotImplementedError(f"{type(self).__name__} has a form(), but no rebuild()")

    def trial(self, context: RunContext) -> AbstractContextManager[Turn]:
        """Return a context manager for `lab doctor`, after `prepare`. Inside the block each call of the yielded
        function trains for a turn, without evaluations and checkpoints. Raises ConfigError if that is impossible."""
        raise ConfigError(f"{type(self).__name__} cannot be timed: it has no trial()")

    def rehearsal(self) -> Callable[[], object] | None:
        """Return a function that computes what a training step does, on copies: nothing of the experiment changes but
        the state of the global random generators. Called after `prepare`; None where that is not possible."""
        return None

    def hints(self, name: str) -> Sequence[str]:
        """Return sentences for `lab doctor` on what else may make the experiment `name` faster."""
        return ()

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

    def bounds(self, context: RunContext) -> Mapping[str, Mapping[str, float]]:
        """Return the metrics that nothing is expected to beat on the same split, by what they are the metrics of."""
        return {}

    @property
    def trained(self) -> object:
        """The trained object, with its capabilities (`lab.capabilities`)."""
        return self
