"""Runs on a device: where models and batches lie, evaluation again, resuming, precision, films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lab
from lab.config.shipped import shipped
from lab.configuration import load
from lab.job import prepare
from lab.resuming import resume
from lab.runs.summary import Summary
from lab.system.randomness import random_state, restore_random_state
from lab.tracking import read_journal
from tests.faults.harness import Killed, killing
from tests.house.small import small

ONE_OF_EACH = ("ppo-cartpole", "dqn-cartpole", "cnn-mnist", "vae-mnist", "gan-mnist", "gpt-shakespeare", "ddpm-mnist")


def settings(name: str, device: torch.device, **others: Any) -> dict[str, Any]:
    return small(name) | {"device": device.type} | others


def run_small(name: str, device: torch.device, **others: Any) -> Summary:
    return lab.run(name, settings(name, device, **others), runs_dir="runs", fast_dev_run=True)


def tensors(value: Any) -> list[Tensor]:
    """All tensors in plain values."""
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [found for one in inner for found in tensors(one)]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_everything_lies_on_device(name: str, device: torch.device) -> None:
    experiment: Any = prepare(load(name, settings(name, device)), fast_dev_run=True).experiment
    if name in ("ppo-cartpole", "dqn-cartpole"):
        found = list(experiment.agent.policy.state_dict().values())
    else:
        batch = next(iter(experiment.batches))
        found = [*experiment.model.state_dict().values(), *tensors([batch.inputs, batch.targets, batch.mask])]
    assert {x.device for x in found} == {torch.empty(0, device=device).device}


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_runs_and_evaluates_again(name: str, device: torch.device, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_small(name, device)
    assert "could not be" not in capsys.readouterr().err, "pictures, films or baselines failed"
    assert run.status == "completed"
    assert run.device.startswith(device.type)
    assert run.resume["exact"] == (device.type == "cpu")
    assert list((run.dir / "media").iterdir())
    for place in {device.type, "cpu"}:
        again = lab.evaluate(run.dir, {"device": place}).metrics
        assert again.keys() == run.metrics.keys()
        if place == device.type:
            assert again == pytest.approx(run.metrics, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_killed_run_goes_on(name: str, device: torch.device) -> None:
    folders: list[Path] = []
    with killing(1), pytest.raises(Killed):
        lab.run(
            name,
            settings(name, device),
            runs_dir="runs",
            fast_dev_run=True,
            announce=lambda record: folders.append(record.dir),
        )
    resumed, whole = resume(folders[0]), run_small(name, device)
    assert resumed.status == "completed"
    assert resumed.resume["sessions"] == 2
    rows = [[row.keys() - {"time"} for row in read_journal(one.dir / "metrics.jsonl")] for one in (resumed, whole)]
    assert rows[0] == rows[1]
    assert resumed.metrics == pytest.approx(whole.metrics, rel=5e-2, abs=5e-2)


def test_generators_come_back(device: torch.device) -> None:
    state = random_state(device)
    first = torch.rand(5), torch.rand(5, device=device)
    restore_random_state(state, device)
    assert all(torch.equal(a, b) for a, b in zip(first, (torch.rand(5), torch.rand(5, device=device)), strict=True))


@pytest.mark.parametrize("name", ["cnn-mnist", "gpt-shakespeare"])
def test_mixed_precision_trains(name: str, device: torch.device) -> None:
    run = run_small(name, device, **{"trainer.precision": "bf16-mixed"})
    assert run.status == "completed"
    model = lab.load(run.dir)
    assert {x.dtype for x in model.parameters()} == {torch.float32}, "weights stay in full precision"


@pytest.mark.parametrize("name", ["cnn-mnist", "gpt-shakespeare", "vae-mnist"])
def test_loss_is_that_of_cpu(name: str, device: torch.device) -> None:
    """The same weights and batch have the same loss, as far as TF32 in convolutions allows."""
    experiment: Any = prepare(load(name, settings(name, device)), fast_dev_run=True).experiment
    model, batch = experiment.model.eval(), next(iter(experiment.batches))
    if name == "vae-mnist":
        batch = type(batch)(batch.inputs.round(), batch.targets)
        ours, theirs = model(batch.inputs)[0], model.cpu()(batch.inputs.cpu())[0]
    else:
        with torch.no_grad():
            ours, theirs = model.losses(batch)["loss"], model.cpu().losses(batch.to("cpu"))["loss"]
    torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-2, atol=1e-3)


def test_seven_experiments_exist() -> None:
    assert set(ONE_OF_EACH) <= shipped().keys()
