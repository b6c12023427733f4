"""Experiments whose result acts in an environment: it can be watched, judged over many episodes, and exported."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.experiment import Experiment


class Episode(NamedTuple):
    """One episode: the seed its environment was reset with, its undiscounted return, and its steps."""

    seed: int
    total: float
    length: int


class ActingExperiment(Experiment):
    """What `lab play`, `lab eval --seeds` and `lab export` ask of an agent, after `prepare` and `load_states`."""

    @abstractmethod
    def judge(self, seed: int, count: int | None) -> Sequence[Episode]:
        """Play `count` deterministic episodes (None: as many as the config says) that follow from `seed` and are
        never those of training. `seed` of the run itself gives the episodes behind its recorded figures."""

    @abstractmethod
    def play(
        self,
        seeds: Sequence[int],
        *,
        output: Path | None,
        window: bool,
        otherwise: Path,
        told: Callable[[Episode], None],
    ) -> Path | None:
        """Show one deterministic episode from each seed of the environment; return the film, None for a window.

        Args:
            output: the film to write, `.mp4` or `.gif`.
            window: open a window whatever speaks against it.
            otherwise: where the film goes, without its ending, if neither is asked for and no window can be opened.
            told: called at the end of each episode.

        Raises ConfigError where that cannot be had.
        """

    @abstractmethod
    def export(self, path: Path) -> Sequence[str]:
        """Write the agent as `path`, a zip that plain Stable-Baselines3 loads; return what its user should know, one
        sentence each. Raises ConfigError for what cannot be expressed there."""
