from __future__ import annotations

import math
from typing import Any

import pytest

from lab.data.base import DatasetInfo
from lab.errors import ConfigError
from lab.runs.reference import Reference, Target, verdict_on

MNIST = DatasetInfo("mnist")


def reference(**changes: Any) -> Reference:
    values: dict[str, Any] = {
        "metric": "test/accuracy",
        "value": 0.99,
        "direction": "max",
        "dataset": "mnist",
        "protocol": "as published",
        "source": "a paper",
    }
    return Reference(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "value", "verdict"),
    [
        ({}, 0.99, "met"),
        ({}, 0.995, "met"),
        ({}, 0.9899, "missed"),
        ({"tolerance": 0.001}, 0.9895, "met"),
        ({"direction": "min", "value": 86.76}, 86.7, "met"),
        ({"direction": "min", "value": 86.76}, 86.8, "missed"),
        ({"direction": "min", "value": 86.76, "tolerance": 0.1}, 86.8, "met"),
    ],
)
def test_verdict_by_value(changes: dict[str, Any], value: float, verdict: str) -> None:
    found, reason = verdict_on(
        reference(**changes), {"test/accuracy": value}, dataset=MNIST, settings={}, fast_dev_run=False
    )
    assert found == verdict
    assert str(value) in reason


def test_other_tasks_are_not_comparable() -> None:
    metrics: dict[str, float | None] = {"test/accuracy": 1.0}
    settings = {"model": {"class_path": "x.Y", "init_args": {"samples": 50}}, "total_timesteps": 100}

    def verdict(ref: Reference | None, dataset: str = "mnist", fast: bool = False, m: Any = metrics) -> tuple[str, str]:
        return verdict_on(ref, m, dataset=DatasetInfo(dataset), settings=settings, fast_dev_run=fast)

    assert verdict(None)[0] == "none"
    assert verdict(reference(), fast=True)[0] == "not-comparable"
    assert verdict(reference(), "digits") == (
        "not-comparable",
        "the reference is for mnist, this run used digits",
    )
    own = verdict_on(
        reference(), metrics, dataset=DatasetInfo("mnist", path="/home/ada/mnist"), settings={}, fast_dev_run=False
    )
    assert own == ("not-comparable", "the reference is for mnist, this run used /home/ada/mnist")
    assert verdict(reference(requires={"total_timesteps": 100, "model.samples": 50}))[0] == "met"
    assert verdict(reference(requires={"model.samples": 5000})) == (
        "not-comparable",
        "the protocol has model.samples: 5000, this run had 50",
    )
    assert verdict(reference(requires={"model.no.such": 1}))[0] == "not-comparable"
    assert verdict(reference(), m={"test/accuracy": None})[0] == "not-comparable"


def test_a_shorter_training_is_not_comparable() -> None:
    metrics: dict[str, float | None] = {"test/accuracy": 0.5}
    found = verdict_on(
        reference(), metrics, dataset=MNIST, settings={}, fast_dev_run=False, shorter="8 epochs, this run 1"
    )
    assert found == ("not-comparable", "8 epochs, this run 1")


@pytest.mark.parametrize(
    "changes",
    [{"value": math.inf}, {"value": math.nan}, {"tolerance": math.inf}, {"requires": {"model.beta": math.inf}}],
)
def test_numbers_must_be_finite(changes: dict[str, Any]) -> None:
    name = next(iter(changes))
    with pytest.raises(ConfigError, match=rf"reference\.{name}.* must be a finite number, received (inf|nan)"):
        reference(**changes)
    values: dict[str, Any] = {
        "metric": "m",
        "value": 1.0,
        "direction": "max",
        "dataset": "d",
        "protocol": "p",
        "why": "w",
    }
    with pytest.raises(ConfigError, match=rf"target\.{name}.* must be a finite number"):
        Target(**(values | changes))
    with pytest.raises(ConfigError, match=r"reference\.spread must be a finite number"):
        reference(spread=math.inf)
