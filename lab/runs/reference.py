"""The figures that an experiment is measured against: a published one, our own target, and the verdict on each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Literal

from lab.config.files import setting
from lab.config.types import NonNegativeFloat, PositiveInt
from lab.data.base import DatasetInfo
from lab.errors import ConfigError
from lab.runs.summary import Verdict

PART_OF_A_MEAN = "the figure to compare with is a mean over"
"""Begins the reason why one of the runs behind a mean has no verdict of its own."""


@dataclass(frozen=True)
class Reference:
    """A published result and the protocol it was measured under.

    Args:
        metric: the run's metric that compares with it, such as `test/nll`.
        value: the published figure.
        direction: whether more (`max`) or less (`min`) is better.
        dataset: name of the data set or environment it holds for.
        protocol: how it was measured, in words.
        source: where it was published.
        spread: its published spread; the protocol says over what.
        n: runs or seeds behind it, where published.
        tolerance: how far on the wrong side of `value` still counts as met.
        requires: settings of the config, by dotted name, that the protocol fixes; with another value the two
            figures do not compare.
        mean_over: settings, by dotted name, over so many of whose values the figure is a mean, as over ten folds. That
            of a single run does not compare.
        read: the day on which the source was read, as `2026-11-28`.
        lengths: how long the experiment with this figure trains, by dotted name of its settings; filled in from its
            config. The figure of a shorter training does not compare.

    Raises ConfigError for a `read` that is no date, and for a number that is not finite.
    """

    metric: str
    value: float
    direction: Literal["max", "min"]
    dataset: str
    protocol: str
    source: str
    spread: NonNegativeFloat | None = None
    n: PositiveInt | None = None
    tolerance: NonNegativeFloat = 0.0
    requires: dict[str, Any] = field(default_factory=dict)
    mean_over: dict[str, PositiveInt] = field(default_factory=dict)
    lengths: dict[str, Any] = field(default_factory=dict)
    read: str | None = None

    kind: ClassVar[str] = "reference"
    called: ClassVar[str] = "published"

    def __post_init__(self) -> None:
        _require_finite(self)
        try:
            date.fromisoformat(self.read or "2000-01-01")
        except ValueError as error:
            raise ConfigError(f"reference.read must be a date like 2026-11-28, received {self.read!r}") from error


@dataclass(frozen=True)
class Target:
    """A figure that we set ourselves, where nothing published compares, or beside what is published.

    Args:
        metric: the run's metric that compares with it.
        value: the figure to reach.
        direction: whether more (`max`) or less (`min`) is better.
        dataset: name of the data set or environment it holds for.
        protocol: how it is measured, in words.
        why: why this figure.
        tolerance: how far on the wrong side of `value` still counts as met.
        requires: settings of the config, by dotted name, that the protocol fixes.
        mean_over: settings, by dotted name, over so many of whose values the figure is a mean, as over ten folds. That
            of a single run does not compare.
        lengths: how long the experiment with this figure trains, by dotted name of its settings; filled in from its
            config. The figure of a shorter training does not compare.

    Raises ConfigError for a number that is not finite.
    """

    metric: str
    value: float
    direction: Literal["max", "min"]
    dataset: str
    protocol: str
    why: str
    tolerance: NonNegativeFloat = 0.0
    requires: dict[str, Any] = field(default_factory=dict)
    mean_over: dict[str, PositiveInt] = field(default_factory=dict)
    lengths: dict[str, Any] = field(default_factory=dict)

    kind: ClassVar[str] = "target"
    called: ClassVar[str] = "target"

    def __post_init__(self) -> None:
        _require_finite(self)


def _require_finite(measure: Reference | Target) -> None:
    """Raise ConfigError for a number that is not finite: nothing can be compared with it, and JSON has none."""
    numbers = {name: getattr(measure, name, None) for name in ("value", "spread", "tolerance")}
    for name, number in (numbers | {f"requires.{key}": one for key, one in measure.requires.items()}).items():
        if isinstance(number, float) and not math.isfinite(number):
            raise ConfigError(f"{measure.kind}.{name} must be a finite number, received {number}")


def verdict_on(
    measure: Reference | Target | None,
    metrics: Mapping[str, float | None],
    *,
    dataset: DatasetInfo,
    settings: Mapping[str, Any],
    fast_dev_run: bool,
    shorter: str | None = None,
    averaged: Mapping[str, int] | None = None,
) -> tuple[Verdict, str]:
    """Return the verdict and the reason for it in words.

    Args:
        settings: the resolved config, nested.
        shorter: how the training was shorter than the experiment's own, in words; None where it was not.
        averaged: how many values of settings the metrics are means over; None for a single run.
    """
    if measure is None:
        return "none", "no published figure for this experiment"
    if fast_dev_run:
        return "not-comparable", "a fast-dev run only shows that everything works"
    if dataset.path:
        return "not-comparable", f"the {measure.kind} is for {measure.dataset}, this run used {dataset.path}"
    if dataset.name != measure.dataset:
        return "not-comparable", f"the {measure.kind} is for {measure.dataset}, this run used {dataset.name}"
    for name, expected in measure.requires.items():
        if (received := setting(settings, name)) != expected:
            return "not-comparable", f"the protocol has {name}: {expected}, this run had {received}"
    if shorter:
        return "not-comparable", shorter
    value = metrics.get(measure.metric)
    if value is None:
        return "not-comparable", f"the run has no finite {measure.metric}"
    for name, values in measure.mean_over.items():
        if (averaged or {}).get(name, 1) < values:
            return (
                "not-comparable",
                f"{PART_OF_A_MEAN} {values} values of {name}: --vary {name}=0-{values - 1} runs all",
            )
    short = (measure.value - value) if measure.direction == "max" else (value - measure.value)
    within = f" (tolerance {measure.tolerance:g})" if measure.tolerance else ""
    if short <= measure.tolerance:
        return "met", f"{measure.metric} is {value:.6g}, {measure.called} {measure.value:g}{within}"
    return (
        "missed",
        f"{measure.metric} is {value:.6g}, {short:.4g} short of the {measure.called} {measure.value:g}{within}",
    )
