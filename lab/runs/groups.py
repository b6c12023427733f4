"""Several runs of one thing, and what they came to together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from lab.console.wording import count, shown, some
from lab.runs.designs import Settings, by_repeat, called, differing, kind, repeat, short_name, varied
from lab.runs.fields import result_metric, value
from lab.runs.readings import number, own_or_all, seed_of, unfit
from lab.runs.select import Run, group
from lab.statistics import Spread, interquartile_mean, spread

FAST = "fast_dev_run"


@dataclass(frozen=True, eq=False)
class Group:
    """Several runs of one thing. Their mean is over seeds and folds.

    Args:
        runs: at least one.
        label: what they have in common, in words.
        key: what they have under the fields that they are grouped by.
        wanted: the metric of their figures; None for the metric that says how these runs did.
        index: place among the groups that are shown together.
    """

    runs: tuple[Run, ...]
    label: str = ""
    key: Mapping[str, Any] = field(default_factory=dict)
    wanted: str | None = None
    index: int = 0

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that say how the runs did. A group of runs with several metrics has no figures."""
        names = [self.wanted] if self.wanted else [name for run in self.judging if (name := result_metric(run))]
        return tuple(dict.fromkeys(names))

    @property
    def metric(self) -> str | None:
        """The metric of all figures; None where no run has any, or they have different ones."""
        return self.metrics[0] if len(self.metrics) == 1 else None

    @cached_property
    def judging(self) -> list[Run]:
        """The user's own runs; all where none is."""
        return own_or_all(self.runs)

    @cached_property
    def counted(self) -> tuple[Run, ...]:
        """The runs that statistics are made of, by seed and fold.

        A run counts if it is completed, has a finite figure, and is no fast-dev run; nobody else's counts beside the
        user's. Of runs with the same seed, fold and settings only the newest counts, and a fork only where none was
        trained from scratch.
        """
        fit = [run for run in self.judging if self.metric and not unfit(run, self.figure(run))]
        fit.sort(key=lambda run: (run.record.parent is None, run.record.run_id))
        alike = Counter((run.record.name, seed_of(run)) for run in fit)
        newest: dict[Any, Run] = {}
        for run in fit:
            which = run.record.name, seed_of(run)
            # Reading a config takes long: it is read where it decides.
            newest[(*which, (repeat(run), kind(run)) if alike[which] > 1 else None)] = run
        return tuple(sorted(newest.values(), key=by_repeat))

    @cached_property
    def scores(self) -> list[float]:
        """The figure of each run that counts."""
        return [score for run in self.counted if (score := self.figure(run)) is not None]

    @property
    def spread(self) -> Spread | None:
        """Mean with its 95 % interval, and more; None without a figure."""
        return spread(self.scores) if self.scores else None

    @property
    def interquartile_mean(self) -> float | None:
        """Mean of the middle half of the runs; None without a figure."""
        return interquartile_mean(self.scores) if self.scores else None

    def figure(self, run: Run) -> float | None:
        """Return a run's figure; None where it has no finite one."""
        return number(value(run, self.metric)) if self.metric else None

    def counts(self, run: Run) -> bool:
        """Return whether the statistics have this run in them."""
        return id(run) in self._counted

    @cached_property
    def _counted(self) -> frozenset[int]:
        return frozenset(map(id, self.counted))

    @property
    def name(self) -> str:
        """The experiment of the first run."""
        return self.runs[0].record.name

    @property
    def fast_dev(self) -> bool:
        """Whether these are fast-dev runs."""
        return self.runs[0].record.fast_dev_run

    @property
    def seeds(self) -> list[int]:
        """Seeds of all runs."""
        return [seed_of(run) for run in self.runs]

    @cached_property
    def unit(self) -> str:
        """What one of its runs is called: `seed`, `fold`, or `run` where they differ in several settings."""
        return short_name(self.varied[0]) if len(self.varied) == 1 else "run"

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """The settings that tell its runs apart."""
        return varied(self.runs)

    def called(self, run: Run) -> str:
        """Return one of its runs by what tells it from the others, in words: `seed 0`."""
        return called(run, self.varied)

    @property
    def dataset(self) -> str:
        """Name of the data set or environment of the first run."""
        return str(self.runs[0].record.dataset.get("name", "unknown data"))

    @cached_property
    def kinds(self) -> int:
        """How many different settings the runs have, seeds, folds and machines aside."""
        return len({kind(run) for run in self.runs})

    @property
    def disk(self) -> int:
        """Bytes that all of the runs take."""
        return sum(run.disk for run in self.runs)

    @cached_property
    def reference(self) -> dict[str, Any]:
        """The published figure, from the newest run that has one; empty where none has."""
        return self._newest(lambda run: run.record.reference)

    @cached_property
    def target(self) -> dict[str, Any]:
        """Our own target, from the newest run that has one; empty where none has."""
        return self._newest(lambda run: run.record.target)

    @cached_property
    def baselines(self) -> dict[str, float]:
        """The metric of each baseline, by its name: the mean over the runs that count and have it."""
        return self._beside(lambda run: run.record.baselines)

    @cached_property
    def bounds(self) -> dict[str, float]:
        """The same of each bound."""
        return self._beside(lambda run: run.record.bounds)

    @property
    def left_out(self) -> str:
        """Which runs do not count and why, in words; empty where all count."""
        others = [run for run in self.judging if not self.counts(run)]
        reasons = Counter(unfit(run, self.figure(run)) or "repeated with the same seed" for run in others)
        reasons["not signed as yours"] = len(self.runs) - len(self.judging)
        return ", ".join(f"{count(n, 'run')} {reason}" for reason, n in reasons.items() if n)

    def told(self, runs: Sequence[Run] | None = None) -> str:
        """Return the figures of runs in words, by default of all that count: `-71.18 on seed 0, -73.8 on seed 1`."""
        return some([f"{shown(self.figure(run))} on {self.called(run)}" for run in runs or self.counted], most=6)

    def as_dict(self) -> dict[str, Any]:
        """Return what the runs came to, as plain values for JSON."""
        return {
            "group": dict(self.key),
            "fast_dev_run": self.fast_dev,
            "runs": [run.record.run_id for run in self.runs],
            "counted": [run.record.run_id for run in self.counted],
            "seeds": self.seeds,
            "metrics": list(self.metrics),
            "values": self.scores,
            "spread": asdict(self.spread) if self.spread else None,
            "interquartile_mean": self.interquartile_mean,
            "disk": self.disk,
        }

    def _beside(self, figures_of: Callable[[Run], Mapping[str, Any]]) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for run in self.counted:
            for name, metrics in figures_of(run).items():
                if isinstance(metrics, Mapping) and (score := number(metrics.get(self.metric or ""))) is not None:
                    found.setdefault(str(name), []).append(score)
        return {name: sum(scores) / len(scores) for name, scores in found.items()}

    def _newest(self, figure_of: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
        newest = sorted(self.judging, key=lambda run: run.record.run_id, reverse=True)
        return next((found for run in newest if number((found := figure_of(run)).get("value")) is not None), {})


def by_fields(runs: Sequence[Run], names: Sequence[str], metric: str | None = None) -> list[Group]:
    """Return the runs by what they have under `names`, in the order in which the groups first appear.

    Fast-dev runs are never among others: their figures mean nothing.
    """
    found = group(runs, [*names, FAST], value)
    return [
        Group(tuple(members), key=dict(zip(names, key, strict=False)), wanted=metric) for key, members in found.items()
    ]


def by_kind(runs: Sequence[Run]) -> list[Group]:
    """Return the runs in groups that differ in nothing but seed and fold, in the order in which those first appear.

    Fast-dev runs are in none. The label is the experiment, with the settings in which it differs from others of it.
    """
    found: dict[tuple[str, tuple[Settings, ...]], list[Run]] = {}
    for run in runs:
        if not run.record.fast_dev_run:
            found.setdefault((run.record.name, kind(run)), []).append(run)
    firsts: dict[str, list[Run]] = {}
    for (name, _), members in found.items():
        firsts.setdefault(name, []).append(members[0])
    names = {name: differing(ones) if len(ones) > 1 else [] for name, ones in firsts.items()}
    groups: list[Group] = []
    for (name, _), members in found.items():
        metric = next((metric for run in own_or_all(members) if (metric := result_metric(run))), None)
        groups.append(Group(tuple(members), _label(members[0], names[name]), wanted=metric, index=len(groups)))
    return groups


def _label(run: Run, differing: Sequence[str]) -> str:
    """The experiment, with the first of those settings in which it differs from others of its name."""
    names = [name for name in differing if run.value(name) is not None]
    repeats = run.roles.repeats
    settings = [f"each {name}" if name in repeats else f"{name}={shown(run.value(name))}" for name in names[:3]]
    more = [f"{len(names) - 3} more"] if len(names) > 3 else []
    return shown(run.record.name) + (f" ({', '.join(settings + more)})" if settings else "")


COLUMNS: dict[str, Callable[[Group], Any]] = {
    "runs": lambda one: len(one.runs),
    "mean": lambda one: one.spread and one.spread.mean,
    "interquartile mean": lambda one: one.interquartile_mean,
    "disk": lambda one: one.disk,
}
"""Figures of a group by which groups can be sorted."""
