"""A NaN is caught before it reaches the weights, by name, and what was good before is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from agents.losses import q_targets
from agents.ppo import PPO
from generative.gan import GAN
from generative.vae import VAE
from lab.checkpoint import load
from lab.cli import main
from lab.model import Model
from lab.saving import rolling
from lab.summary import Summary, local_runs
from supervised.classifier import Classifier
from tests.faults.harness import words


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


def diverged(kind: str, capsys: pytest.CaptureFixture[str]) -> tuple[Summary, str]:
    assert main(["run", *words(kind), "--runs-dir", "runs"]) == 3
    (run,) = local_runs(Path("runs"))
    assert run.status == "diverged"
    kept = load(rolling(run.dir / "checkpoints")[0]).state
    kept = kept["lightning"]["state_dict"] if "lightning" in kept else kept["agent"]["modules"]["policy"]
    assert all(value.isfinite().all() for value in kept.values() if value.is_floating_point())
    assert not (run.dir / "encoder").exists()
    return run, capsys.readouterr().err


LIGHTNING: dict[str, type[Model]] = {"vae": VAE, "gan": GAN, "classifier": Classifier}
AT = 10  # the batch at which it happens, after the checkpoints at 4 and 8


@pytest.fixture
def weights_at_the_end(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The weights when training ended by the exception."""
    found: list[dict[str, Tensor]] = []

    def keep(self: Any, trainer: pl.Trainer, module: pl.LightningModule, error: BaseException) -> None:
        found.append(module.state_dict())

    monkeypatch.setattr("lab.lightning.Reporter.on_exception", keep, raising=False)
    return found


@pytest.mark.fault(12)
@pytest.mark.parametrize("kind", LIGHTNING)
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_lightning(
    kind: str,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    weights_at_the_end: list[dict[str, Tensor]],
) -> None:
    cls = LIGHTNING[kind]
    forward, batches = cls.forward, 0

    def poisoned(self: Any, x: Any) -> Any:
        nonlocal batches
        batches += self.training
        result = forward(self, x)
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


@pytest.mark.fault(12)
def test_ppo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    train, policies = PPO.train, []

    def poisoned(self: Any) -> None:
        policies.append(self.policy)
        if self.num_timesteps >= 1024:
            heads = self.policy.heads

            def poisoned_heads(*args: Any) -> Any:
                seen = heads(*args)
                return seen._replace(values=poison_gradient(seen.values))

            self.policy.heads = poisoned_heads
        train(self)

    monkeypatch.setattr(PPO, "train", poisoned)
    _, said = diverged("ppo", capsys)
    assert "the norm of the gradient became nan in the update after step 1,024, before the weights were changed" in said
    assert all(value.isfinite().all() for value in policies[-1].state_dict().values())


@pytest.mark.fault(12)
def test_dqn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    calls = 0

    def poisoned(*args: Any, **kwargs: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return q_targets(*args, **kwargs) * (torch.nan if calls > 24 else 1)

    monkeypatch.setattr("agents.dqn.q_targets", poisoned)
    _, said = diverged("dqn", capsys)
    assert "the norm of the gradient became nan in the update after step 1,280" in said
