"""Runs that differ in nothing but their seed: what a claim rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lab.console.wording import count, near, ranges, shown, word
from lab.runs.counted import counted
from lab.runs.designs import differing, kind
from lab.runs.readings import figure, number, seed_of
from lab.runs.select import Run
from lab.runs.summary import runs_folder


@dataclass(frozen=True)
class Evidence:
    """What a review looks at.

    Args:
        runs: all of them.
        groups: those that are no fast-dev runs, in groups that differ in nothing but the seed.
        names: fields by which the report groups runs to one line or one mean.
    """

    runs: Sequence[Run]
    groups: Sequence[Replicates]
    names: Sequence[str] = ("experiment",)

    @property
    def real(self) -> list[Run]:
        """All runs but fast-dev runs."""
        return [run for run in self.runs if not run.record.fast_dev_run]


@dataclass(frozen=True)
class Replicates:
    """Runs of one experiment with one design, budget and protocol: only the seed may differ.

    Args:
        runs: all of them but fast-dev runs, oldest first.
        label: the experiment, with the settings in which it differs from others of the same name.
    """

    runs: tuple[Run, ...]
    label: str

    @property
    def name(self) -> str:
        """The experiment."""
        return self.runs[0].record.name

    @cached_property
    def metric(self) -> str | None:
        """The metric it is judged by: the reference's, else the first one; None where no run has any."""
        named = (run.record.reference.get("metric") or next(iter(run.record.metrics), None) for run in self.runs)
        return next((str(metric) for metric in named if metric), None)

    @cached_property
    def counted(self) -> dict[int, Run]:
        """The run that counts for each seed."""
        return {seed_of(run): run for run in counted(self.runs, lambda run: figure(run, self.metric))}

    @cached_property
    def scores(self) -> dict[int, float]:
        """The figure of each seed that counts."""
        found = {seed: figure(run, self.metric) for seed, run in self.counted.items()}
        return {seed: score for seed, score in found.items() if score is not None}

    @cached_property
    def judged(self) -> dict[int, Run]:
        """Those that count and have a verdict on their published figure."""
        return {
            seed: run
            for seed, run in self.counted.items()
            if run.record.verdict in ("met", "missed") and number(run.record.reference.get("value")) is not None
        }

    @cached_property
    def judged_scores(self) -> dict[int, float]:
        """Their figures."""
        return {seed: score for seed, score in self.scores.items() if seed in self.judged}

    @property
    def met(self) -> int:
        """How many of them met it."""
        return sum(run.record.verdict == "met" for run in self.judged.values())

    @cached_property
    def reference(self) -> Mapping[str, Any]:
        """The published figure of the runs that are judged, of which there must be one."""
        return next(reversed(self.judged.values())).record.reference

    @property
    def value(self) -> float:
        """Its value."""
        return float(self.reference["value"])

    @property
    def tolerance(self) -> float:
        """How far on the wrong side of it still counts as met."""
        return number(self.reference.get("tolerance")) or 0.0

    @property
    def published(self) -> str:
        """`published 500 from 1 run`; the number of runs where it is known."""
        behind = number(self.reference.get("n"))
        return f"published {shown(self.value)}" + (f" from {count(int(behind), 'run')}" if behind else "")

    @property
    def bar(self) -> float:
        """The worst figure that counts as met."""
        return self.value + self.tolerance * (1 if self.reference.get("direction") == "min" else -1)

    def short_of(self, score: float) -> float:
        """How far a figure is on the wrong side of the published one; negative on the right side."""
        return score - self.value if self.reference.get("direction") == "min" else self.value - score

    def meets(self, score: float) -> bool:
        """Whether a figure counts as met."""
        return self.short_of(score) <= self.tolerance

    def more_seeds(self, least: int = 5) -> str:
        """The command that runs at least so many seeds, those that are there among them."""
        seeds = {seed_of(run) for run in self.runs}
        fresh = (seed for seed in range(least + len(seeds)) if seed not in seeds)
        while len(seeds) < least:
            seeds.add(next(fresh))
        return f"`{again(self.runs[-1], f'--seeds {ranges(seeds)}')}`"


def replicates(runs: Sequence[Run]) -> list[Replicates]:
    """Return the runs in groups that differ in nothing but the seed, in the order in which the groups first appear.
    Fast-dev runs are in none."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        if not run.record.fast_dev_run:
            groups.setdefault((run.record.name, kind(run)), []).append(run)
    siblings = {name: [members[0] for key, members in groups.items() if key[0] == name] for name, *_ in groups}
    names = {name: differing(ones) if len(ones) > 1 else [] for name, ones in siblings.items()}
    return [Replicates(tuple(members), _label(members[0], names[key[0]])) for key, members in groups.items()]


def place(run: Run) -> str:
    """The run's folder, as a word of a command."""
    return word(near(run.record.dir))


def again(run: Run, *options: str) -> str:
    """The command that repeats the run from its own file, since its experiment's name would not where settings were
    overridden. It finds the runs that are there, and the next report finds what it makes."""
    return here(" ".join(["lab run", word(near(run.record.dir / "config.yaml")), *options]), [run])


def here(command: str, runs: Sequence[Run]) -> str:
    """A command of the lab, for the folder that these runs lie in where it is not the usual one."""
    folder = runs[0].record.dir.absolute().parents[1] if runs else runs_folder()
    usual = folder.resolve() == runs_folder().resolve()
    return command if usual else f"{command} --runs-dir {word(near(folder))}"


def _label(run: Run, differing: Sequence[str]) -> str:
    """The experiment, with the first of those settings in which it differs from others of its name."""
    names = [name for name in differing if run.value(name) is not None]
    settings = [f"{name}={shown(run.value(name))}" for name in names[:3]]
    more = [f"{len(names) - 3} more"] if len(names) > 3 else []
    return shown(run.record.name) + (f" ({', '.join(settings + more)})" if settings else "")
