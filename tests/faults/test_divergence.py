"""A NaN is caught before it reaches the weights. The error names it, and earlier checkpoints are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

import lab
from agents.dqn.dqn import DQN
from agents.dqn.losses import td_loss
from agents.ppo.losses import value_loss
from agents.ppo.ppo import PPO
from generative.gan.gan import GAN
from generative.vae.vae import VAE
from lab.cli.main import main
from lab.recording import write_or_notice
from lab.runs.summary import Summary, local_runs, read_summary
from lab.saving.checkpoint import load
from lab.saving.saver import rolling
from lab.training import Model
from supervised.classifier import Classifier
from tests.faults.harness import SLOW, settings, words


class Nan(torch.autograd.Function):
    """The identity, whose gradient is NaN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.nan


def poison_gradient(x: Tensor) -> Tensor:
    return Nan.apply(x)  # type: ignore[no-any-return,no-untyped-call]


def diverged(kind: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[Summary, str]:
    assert main(["run", *words(kind), *more, "--runs-dir", "runs"]) == 3
    (run,) = local_runs(Path("runs"))
    assert run.status == "diverged"
    kept = load(rolling(run.dir / "checkpoints")[0]).state
    kept = kept["lightning"]["state_dict"] if "lightning" in kept else kept["agent"]["modules"]["policy"]
    assert all(value.isfinite().all() for value in kept.values() if value.is_floating_point())
    assert not (run.dir / "artifacts" / "encoder").exists()
    return run, capsys.readouterr().err


LIGHTNING: dict[str, type[Model]] = {"vae": VAE, "gan": GAN, "classifier": Classifier}
AT = 10  # the batch at which it happens, after the checkpoints at 4 and 8


@pytest.fixture
def weights_at_the_end(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The weights when training ended by the exception."""
    found: list[dict[str, Tensor]] = []

    def keep(self: Any, trainer: pl.Trainer, module: pl.LightningModule, error: BaseException) -> None:
        found.append(module.state_dict())

    monkeypatch.setattr("lab.training.loop.reporter.Reporter.on_exception", keep, raising=False)
    return found


@pytest.mark.fault(12)
@pytest.mark.parametrize("kind", ["vae", *(pytest.param(kind, marks=SLOW) for kind in LIGHTNING if kind != "vae")])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_diverged_model_is_stopped(
    kind: str,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    weights_at_the_end: list[dict[str, Tensor]],
) -> None:
    cls = LIGHTNING[kind]
    forward, batches = cls.forward, 0

    def poisoned(self: Any, *inputs: Any) -> Any:
        nonlocal batches
        batches += self.training
        result = forward(self, *inputs)
        if batches <= AT or not self.training:
            return result
        if isinstance(result, tuple):
            return (result[0] * torch.nan if what == "loss" else poison_gradient(result[0]), *result[1:])
        return result * torch.nan if what == "loss" else poison_gradient(result)

    monkeypatch.setattr(cls, "forward", poisoned)
    _, said = diverged(kind, capsys)
    expected = r"train/discriminator_loss became nan" if kind == "gan" else "train/loss became nan"
    gradient = "the norm of the gradient became nan in epoch 2, before the weights were changed"
    assert (expected if what == "loss" else gradient) in said
    (weights,) = weights_at_the_end
    assert all(value.isfinite().all() for value in weights.values() if value.is_floating_point())


def poison_from(
    step: int, algorithm: type[PPO | DQN], monkeypatch: pytest.MonkeyPatch
) -> tuple[Tensor, list[torch.nn.Module]]:
    """Return a number that is 1 and becomes NaN for the update after `step`, and the policies that were updated.

    It changes in place: functions that are captured repeat their operations, not their Python.
    """
    train, factor = algorithm.train, torch.ones(())
    policies: list[torch.nn.Module] = []

    def poisoned(self: Any, **settings: Any) -> None:
        policies.append(self.policy)
        factor.fill_(torch.nan if self.num_timesteps >= step else 1)
        train(self, **settings)

    monkeypatch.setattr(algorithm, "train", poisoned)
    return factor, policies


@pytest.mark.fault(12)
@pytest.mark.parametrize("capture", ["auto", "never"])
def test_diverged_ppo_is_stopped(
    capture: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    factor, policies = poison_from(1024, PPO, monkeypatch)
    monkeypatch.setattr("agents.ppo.ppo.value_loss", lambda *args: value_loss(*args) * factor)
    _, said = diverged("ppo", capsys, f"--agent.capture={capture}")
    assert "the norm of the gradient became nan in the update after step 1,024, before the weights were changed" in said
    assert all(value.isfinite().all() for value in policies[-1].state_dict().values())


@pytest.mark.fault(12)
@pytest.mark.parametrize("capture", ["auto", "never"])
def test_diverged_dqn_is_stopped(
    capture: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    factor, policies = poison_from(1280, DQN, monkeypatch)
    monkeypatch.setattr("agents.dqn.dqn.td_loss", lambda *args: td_loss(*args) * factor)
    _, said = diverged("dqn", capsys, f"--agent.capture={capture}")
    assert "the norm of the gradient became nan in the update after step 1,280" in said
    assert all(value.isfinite().all() for value in policies[-1].state_dict().values())


def test_baseline_that_is_not_finite_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"overflows": {"test/accuracy": torch.inf, "test/loss": 2.0}, "nothing": {"test/accuracy": torch.nan}}
    monkeypatch.setattr(Classifier, "baselines", lambda self, data: figures)
    name, overrides = settings("classifier")
    record = lab.run(name, overrides, fast_dev_run=True)
    assert (
        "left out, because not finite: baselines.overflows.test/accuracy, baselines.nothing" in capsys.readouterr().err
    )
    written = read_summary(record.dir)
    assert (written.status, written.baselines) == ("completed", {"overflows": {"test/loss": 2.0}})
    record.baselines["late"] = {"test/accuracy": -torch.inf}
    record.throughput = {"value": torch.inf, "unit": "images/s"}
    assert write_or_notice(record), "no summary is lost to a number that JSON does not have"
    written = read_summary(record.dir)
    assert (written.metrics, written.throughput) == (record.metrics, {"unit": "images/s"})
