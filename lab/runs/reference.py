"""The published figure an experiment is measured against, and the verdict at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.config.files import setting
from lab.config.types import NonNegativeFloat, PositiveInt
from lab.data.base import DatasetInfo

Verdict = Literal["met", "missed", "not-comparable", "none"]


@dataclass(frozen=True)
class Reference:
    """A published result and the protocol it was measured under.

    Args:
        metric: the run's metric that compares with it, such as `test/nll`.
        value: the published figure.
        spread: its published spread; what it is the spread of belongs in `protocol`.
        n: runs or seeds behind it, where published.
        direction: whether more (`max`) or less (`min`) is better.
        tolerance: how far on the wrong side of `value` still counts as met.
        dataset: name of the data set or environment it holds for.
        requires: settings of the config, by dotted name, that the protocol fixes; with another value the two
            figures do not compare.
        protocol: how it was measured, in words.
        source: where it was published.
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


def judge(
    reference: Reference | None,
    metrics: Mapping[str, float | None],
    *,
    dataset: DatasetInfo,
    settings: Mapping[str, Any],
    fast_dev_run: bool,
) -> tuple[Verdict, str]:
    """Return the verdict and the reason for it in words. `settings` is the resolved config, nested."""
    if reference is None:
        return "none", "no published figure for this experiment"
    if fast_dev_run:
        return "not-comparable", "a fast-dev run only shows that everything works"
    if dataset.name != reference.dataset:
        return "not-comparable", f"the reference is for {reference.dataset}, this run used {dataset.name}"
    for name, expected in reference.requires.items():
        if (received := setting(settings, name)) != expected:
            return "not-comparable", f"the protocol has {name}: {expected}, this run had {received}"
    value = metrics.get(reference.metric)
    if value is None:
        return "not-comparable", f"the run has no finite {reference.metric}"
    short = (reference.value - value) if reference.direction == "max" else (value - reference.value)
    within = f" (tolerance {reference.tolerance:g})" if reference.tolerance else ""
    if short <= reference.tolerance:
        return "met", f"{reference.metric} is {value:.6g}, published {reference.value:g}{within}"
    return (
        "missed",
        f"{reference.metric} is {value:.6g}, {short:.4g} short of the published {reference.value:g}{within}",
    )
