"""The number of CPU threads: measured where a run is long and the config leaves it open, and the same ever after."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lab import configuration, job
from lab.configuration import load
from lab.errors import ConfigError
from lab.experiment import threads
from lab.experiment.threads import fastest, is_long, steps_per_second
from lab.job import prepare, with_fastest_threads
from lab.runner import run
from lab.runs.summary import Summary
from lab.saving.bitwise import run_differences

DIGITS: dict[str, Any] = {
    "extends": "cnn-mnist",
    "data": {"name": "digits", "batch_size": 512, "val_size": 100},
    "model": {"encoder": {"stages": None, "hidden": [], "norm": "none"}},
    "trainer": {"max_epochs": 1},
    "reference": None,
}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("digits.yaml").write_text(yaml.safe_dump(DIGITS))
    monkeypatch.setattr(job, "DEFAULT_THREADS", 2)
    monkeypatch.setattr(job, "usable_cores", lambda: 2)
    monkeypatch.setattr(threads, "LONG", 0.0)
    monkeypatch.setattr(threads, "SECONDS", 0.02)


def recorded_threads(record: Summary) -> object:
    return yaml.safe_load((record.dir / "config.yaml").read_text())["threads"]


def test_more_threads_must_be_faster() -> None:
    assert fastest({1: 10.0, 2: 10.5, 4: 10.9}) == 1
    assert fastest({1: 10.0, 2: 18.0, 4: 19.0}) == 2
    assert fastest({1: 10.0, 2: 8.0, 4: 30.0}) == 4


def test_each_number_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    rates = steps_per_second(lambda: time.sleep(0.001), [1, 2], seconds=0.04)
    assert set(rates) == {1, 2}
    assert all(100 < found <= 1000 for found in rates.values())
    assert seen[-1] == torch.get_num_threads(), "as before"


def test_a_short_training_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LONG", 60.0)
    assert is_long(lambda: time.sleep(0.01), 10_000)
    assert not is_long(lambda: time.sleep(0.001), 100)
    monkeypatch.setattr(job, "steps_per_second", lambda *_: pytest.fail("measured"))
    assert load("digits.yaml").common.threads is None
    assert recorded_threads(run("digits.yaml")) is None


@pytest.mark.parametrize("chosen", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_number_is_recorded_and_nothing_else_changes(chosen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose number was measured, its repetition, and a run that was told the number are the same to the bit."""
    monkeypatch.setattr(job, "steps_per_second", lambda step, counts: {step(): 0.0} and {chosen: 1.0})
    measured = run("digits.yaml")
    assert (recorded_threads(measured), measured.threads) == (chosen, chosen)
    monkeypatch.setattr(job, "steps_per_second", lambda *_: pytest.fail("measured again"))
    for other in (run(f"{measured.run_dir}/config.yaml"), run("digits.yaml", {"threads": chosen})):
        assert other.threads == chosen
        assert not list(run_differences(measured.dir, other.dir))


def test_the_rehearsal_leaves_the_experiment_alone() -> None:
    made = prepare(load("digits.yaml", {"threads": 1}), fast_dev_run=False)
    model = made.experiment.model  # type: ignore[attr-defined]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step = made.experiment.rehearsal()
    assert step is not None
    step()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(value.grad is None for value in model.parameters())


def test_a_model_that_cannot_be_measured_gets_one_thread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = prepare(load("digits.yaml"), fast_dev_run=False)
    monkeypatch.setattr(made.experiment, "rehearsal", lambda: lambda: 1 / 0)
    assert with_fastest_threads(made).config.as_dict()["threads"] == 1
    assert torch.get_num_threads() == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "threads" in line]
    assert said == (
        "! threads: 1, since no step could be measured before the training (ZeroDivisionError: division by zero)"
    )


def test_wrong_settings_end_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would end the training as well, after its folder was made."""
    made = prepare(load("digits.yaml"), fast_dev_run=False)

    def refused() -> None:
        raise ConfigError("model.size is 0")

    monkeypatch.setattr(made.experiment, "rehearsal", refused)
    with pytest.raises(ConfigError, match=r"model\.size is 0"):
        with_fastest_threads(made)


def test_a_run_of_a_larger_machine_is_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    record = run("digits.yaml", {"threads": 1})
    monkeypatch.setattr(configuration, "CPUS", 0)
    assert load(f"{record.run_dir}/config.yaml").common.threads is None
