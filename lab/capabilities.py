"""What a trained thing can do, as small protocols. `lab play`, `sample`, `predict`, `export` and `lab.load` use them.

An experiment's `trained` is what has them; none is owed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from lab.data.sound import Sound
from lab.errors import ConfigError
from lab.experiment import Experiment

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """What a model says of one input.

    Args:
        label: name of the most probable class; None for values.
        probability: of that class, from 0 to 1.
        value: the predicted number or numbers; None for classes.
    """

    label: str | None = None
    probability: float | None = None
    value: float | list[float] | None = None


@runtime_checkable
class Acts(Protocol):
    """Acts in an environment."""

    def act(self, observation: Any) -> Any:
        """Return the action for one observation, as the environment gives it and takes it. An agent with a memory
        remembers between calls; `reset` begins a new episode."""

    def reset(self) -> None:
        """Forget what was seen: a new episode begins."""


@runtime_checkable
class Samples(Protocol):
    """Draws new examples."""

    def sample(self, count: int, *, prompt: str | None = None, seed: int = 0) -> list[Image | str | Sound]:
        """Return `count` samples that follow from `seed`. Raises ConfigError for a prompt where none is taken."""


@runtime_checkable
class Predicts(Protocol):
    """Predicts classes or values."""

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return one prediction per input, for `(B, *spec.input.shape)`: images in [0, 1]."""


@runtime_checkable
class Exports(Protocol):
    """Can be written as a file for another library."""

    export_formats: ClassVar[Sequence[str]]

    def export(self, path: Path) -> Sequence[str]:
        """Write `path`; return what its user should know, one sentence each."""


CAPABILITIES: dict[str, type] = {"act": Acts, "sample": Samples, "predict": Predicts, "export": Exports}


def refuse_prompt(prompt: str | None, who: str) -> None:
    """Raise ConfigError where there is a prompt: for models that take none."""
    if prompt is not None:
        raise ConfigError(f"{who} takes no prompt, received {prompt!r}")


def capabilities_of(trained: object) -> list[str]:
    """Return the names of what it can do."""
    return [name for name, protocol in CAPABILITIES.items() if isinstance(trained, protocol)]


class Episode(NamedTuple):
    """One episode: the seed its environment was reset with, its undiscounted return, and its steps."""

    seed: int
    total: float
    length: int


@dataclass(frozen=True)
class Showing:
    """How episodes are to be shown.

    Args:
        seeds: of the environment, one episode each.
        otherwise: where the film goes, without its ending, if no `output` is given and no window can be opened.
        output: the film to write, `.mp4` or `.gif`.
        window: whether it must be a window.
        told: called at the end of each episode.
    """

    seeds: Sequence[int]
    otherwise: Path
    output: Path | None = None
    window: bool = False
    told: Callable[[Episode], None] = lambda episode: None


class ActingExperiment(Experiment):
    """What `lab play`, `lab eval --seeds` and `lab export` ask of an agent, after `prepare` and `load_states`."""

    @abstractmethod
    def judge(self, seed: int, count: int | None) -> Sequence[Episode]:
        """Play `count` deterministic episodes (None: as many as the config says) that follow from `seed` and are
        never those of training. `seed` of the run itself gives the episodes behind its recorded figures."""

    @abstractmethod
    def play(self, showing: Showing) -> Path | None:
        """Show one deterministic episode from each seed; return the film, or None for a window.

        Raises ConfigError where the environment cannot be shown that way.
        """

    @abstractmethod
    def export(self, path: Path) -> Sequence[str]:
        """Write the agent as `path`, a zip that plain Stable-Baselines3 loads; return what its user should know, one
        sentence each. Raises ConfigError for what cannot be expressed there."""
