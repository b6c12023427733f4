"""Each method learns, its estimates agree with closed forms, and its settings do what they say."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import nn
from torch.distributions import Normal, kl_divergence

import generative.judges.classifier
import lab
from agents.dqn.losses import q_targets
from generative.gan.losses import discriminator_loss, generator_loss
from generative.judges.classifier import Judge
from generative.judges.frechet import frechet_distance
from generative.vae.vae import VAE, kl_to_standard_normal
from lab.data import Images
from lab.data.spec import DataSpec
from lab.encoders import MLP, InputSpec
from lab.errors import DivergedError
from lab.tracking import read_journal
from lab.training.optimization import Optimization, Schedule

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
SMALL_GAN = DIGITS | {"model.encoder.stages": [{"channels": 8, "kernel": 5, "stride": 2}], "model.latent_dim": 8}


@pytest.fixture(autouse=True)
def quick_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GAN's judge learns a third as long as it does for MNIST: these images are easier."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 468)


def test_classifier_learns_digits() -> None:
    run = lab.run("cnn-mnist", DIGITS | {"trainer.max_epochs": 6, "model.encoder.stages": SMALL}, runs_dir="runs")
    assert (run.metrics["test/accuracy"] or 0) > 0.9
    names = {path.name.rsplit("-", 1)[0] for path in (run.dir / "media").iterdir()}
    assert names == {"confusion_matrix", "mistakes"}


SMALL = [{"channels": 8, "max_pool": 2}, {"channels": 16, "max_pool": 2}]


def test_vae_learns_digits() -> None:
    small = DIGITS | {"model.encoder.hidden": [64], "model.latent_dim": 8, "model.nll_samples": 50}
    short = lab.run("vae-mnist", small | {"trainer.max_epochs": 1}, runs_dir="runs")
    longer = lab.run("vae-mnist", small | {"trainer.max_epochs": 15}, runs_dir="runs")
    assert (longer.metrics["test/nll"] or 1e9) < 0.8 * (short.metrics["test/nll"] or 0)
    assert (longer.metrics["test/nll"] or 1e9) < (longer.metrics["test/loss"] or 0), "tighter than the ELBO"
    axes = {row["axis"] for row in read_journal(longer.dir / "metrics.jsonl")}
    assert axes == {"global_step", "epoch"}


def test_kl_closed_form() -> None:
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), expected, atol=1e-5)


def test_nll_is_exact_where_the_truth_is_known() -> None:
    """A decoder that ignores z makes p(x) a product of Bernoullis, whatever the posterior."""
    vae = VAE(DataSpec(InputSpec((1, 4, 4))), encoder=partial(MLP, hidden=[4]), latent_dim=2, nll_samples=7)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.zero_()
        bias = torch.randn(16)
        vae.decoder.output.bias.copy_(bias)  # type: ignore[union-attr, operator]
        vae.posterior.weight.zero_()
        vae.posterior.bias.zero_()  # the posterior is the prior: every weight is p(x)
        x = torch.bernoulli(torch.full((3, 1, 4, 4), 0.5))
        expected = F.binary_cross_entropy_with_logits(bias.expand(3, -1), x.flatten(1), reduction="none").sum(1)
        assert torch.allclose(vae.negative_log_likelihood(x), expected, atol=1e-4)


def test_nll_converges_to_the_integral() -> None:
    """One latent: the integral over z can be done on a grid. The estimate must not depend on the posterior."""
    torch.manual_seed(0)
    vae = VAE(DataSpec(InputSpec((1, 2, 2))), encoder=partial(MLP, hidden=[4]), latent_dim=1, nll_samples=20_000)
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.normal_()
        x = torch.bernoulli(torch.full((2, 1, 2, 2), 0.5))
        z = torch.linspace(-8, 8, 4001).view(-1, 1)
        logits = vae.decoder(z).flatten(1)
        for image, estimate in zip(x, vae.negative_log_likelihood(x), strict=True):
            log_p = -F.binary_cross_entropy_with_logits(logits, image.flatten().expand_as(logits), reduction="none")
            joint = log_p.sum(1) + Normal(0.0, 1.0).log_prob(z).squeeze(1)  # type: ignore[no-untyped-call]
            exact = -(joint.logsumexp(0) + math.log(16 / 4000))
            assert estimate.item() == pytest.approx(exact.item(), abs=0.02)


def test_gan_losses_at_known_points() -> None:
    zero = torch.zeros(4, 1)
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(zero).item() == pytest.approx(math.log(2))
    sure = torch.full((4, 1), 20.0)
    assert discriminator_loss(sure, -sure).item() < 1e-6
    assert generator_loss(-sure).item() == pytest.approx(20, abs=1e-3), "a fooled-by-nobody generator still learns"


def test_frechet_distance_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(200_000, 3, generator=generator)
    scale, shift = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.0, 0.0, -2.0])
    b = torch.randn(200_000, 3, generator=generator) * scale + shift
    expected = float(shift.square().sum() + (1 - scale).square().sum())
    assert frechet_distance(a, b) == pytest.approx(expected, rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_a_collapsed_generator_fails_the_judge() -> None:
    torch.manual_seed(0)
    data = Images(name="digits", batch_size=32)
    data.prepare()
    judge = Judge(data.spec)
    cpu = torch.device("cpu")
    judge.learn(data, cpu)
    images, labels = next(iter(data.test(cpu)))
    with torch.no_grad():
        real, logits = judge.eval()(images)
        other, _ = judge(torch.cat([x for x, _ in data.train(cpu, 1)]))
        assert (logits.argmax(1) == labels).float().mean() > 0.85
        good = frechet_distance(other, real)
        one_image = frechet_distance(judge(images[:1].expand(500, -1, -1, -1))[0], real)
        one_class = frechet_distance(real[labels == 3].repeat(10, 1), real)
        noise = frechet_distance(judge(torch.rand(500, 1, 28, 28))[0], real)
    assert one_image > 10 * good
    assert one_class > 5 * good
    assert noise > 10 * good


def test_gan_moves_towards_the_data() -> None:
    start = lab.run("gan-mnist", SMALL_GAN, runs_dir="runs", fast_dev_run=True)
    run = lab.run("gan-mnist", SMALL_GAN | {"trainer.max_epochs": 15}, runs_dir="runs")
    assert (run.metrics["test/classes_found"] or 0) >= 4
    assert run.metrics["test/classifier_fid"] is not None
    assert (run.metrics["test/classes_found"] or 0) > (start.metrics["test/classes_found"] or 0)


class Recall(gym.Env[Any, Any]):
    """Shows one of two signs; the action that names it earns 1. Ten steps."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 10
        return self._show(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action == self.sign)
        self.left -= 1
        return self._show(), reward, self.left == 0, False, {}

    def _show(self) -> Any:
        self.sign = int(self.np_random.integers(2))
        return np.eye(2, dtype=np.float32)[self.sign]


gym.register("LabTestRecall-v0", entry_point=lambda **kwargs: Recall())


@pytest.mark.parametrize("name", ["ppo-cartpole", "dqn-cartpole"])
def test_agents_learn_what_can_be_learned(name: str) -> None:
    overrides = {
        "env.id": "LabTestRecall-v0",
        "total_timesteps": 6000,
        "evaluation.every": 2000,
        "agent.encoder.hidden": [16],
    }
    if name.startswith("dqn"):
        overrides |= {"agent.gradient_steps": 64, "agent.average": 0.5, "agent.gamma": 0.5}
    run = lab.run(name, overrides, runs_dir="runs")
    assert run.metrics["eval/return_mean"] == 10
    assert run.metrics["best/return_mean"] == 10
    assert run.verdict == "not-comparable"
    rows = list(read_journal(run.dir / "metrics.jsonl"))
    assert {row["axis"] for row in rows} == {"env_steps"}
    assert [row["env_steps"] for row in rows] == sorted(row["env_steps"] for row in rows)
    assert any("train/grad_norm" in row for row in rows)


def test_q_targets_closed_form() -> None:
    online, target = torch.tensor([[1.0, 2.0], [5.0, 0.0]]), torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    rewards, half = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5])
    assert q_targets(online, target, rewards, half).tolist() == [11.0, 17.0], "double: the online network chooses"
    assert q_targets(None, target, rewards, half).tolist() == [11.0, 22.0]
    cut_short = torch.tensor([0.5, 0.1])  # n-step returns are cut short at an episode's end
    assert q_targets(online, target, rewards, cut_short).tolist() == [11.0, 5.0]
    assert q_targets(online, target, rewards, torch.zeros(2)).tolist() == [1.0, 2.0], "terminated: nothing follows"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(), [1, 1, 1, 1, 1]),
        (Schedule(kind="linear"), [1, 0.75, 0.5, 0.25, 0]),
        (Schedule(kind="linear", final=0.2), [1, 0.8, 0.6, 0.4, 0.2]),
        (Schedule(kind="cosine"), [1, 0.853553, 0.5, 0.146447, 0]),
        (Schedule(kind="step", decay=0.1, steps=2), [1, 1, 0.1, 0.1, 0.1]),
    ],
)
def test_schedules_closed_form(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule.factor(step, 100) for step in (0, 25, 50, 75, 100)] == pytest.approx(expected, abs=1e-6)


def test_warmup_rises_to_the_full_rate_and_never_jumps() -> None:
    factors = [Schedule(kind="cosine", warmup=0.2).factor(step, 100) for step in range(101)]
    assert factors[:20] == sorted(factors[:20])
    assert 0 < factors[0] < 0.06
    assert max(factors) == pytest.approx(1)
    assert max(abs(a - b) for a, b in pairwise(factors)) < 0.06


def test_penalties_closed_form() -> None:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, -4.0]]))
    weights = layer.requires_grad_(False)
    assert float(Optimization(l1=0.5).penalty(weights.parameters())) == pytest.approx(3.5)
    assert float(Optimization(l2=0.5).penalty(layer.parameters())) == pytest.approx(6.25)
    assert Optimization().penalty(layer.parameters()) == 0.0


def weights(**overrides: Any) -> torch.Tensor:
    """Weights after two steps of training, as one vector."""
    from lab.encoders.files import load_encoder

    settings = DIGITS | {"model.encoder": "MLP", "model.encoder.hidden": [8], "trainer.max_epochs": 1}
    run = lab.run("cnn-mnist", settings | overrides, runs_dir="runs", fast_dev_run=True)
    return torch.cat([p.flatten() for p in load_encoder(run.dir / "artifacts" / "encoder").parameters()])


def test_settings_of_training_reach_the_weights() -> None:
    base = weights()
    assert torch.equal(base, weights())
    sgd = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 0.1})
    clipped = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 0.1, "trainer.gradient_clip_norm": 1e-6})
    penalised = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 0.1, "trainer.l2": 1.0})
    untrained = weights(**{"trainer.optimizer": "SGD", "trainer.optimizer.lr": 1e-12})
    assert not torch.equal(base, sgd)
    assert (clipped - untrained).norm() < 1e-5 < (sgd - untrained).norm()
    assert penalised.norm() < sgd.norm()


def test_early_stopping_stops() -> None:
    overrides = DIGITS | {
        "model.encoder": "MLP",
        "model.encoder.hidden": [8],
        "trainer.max_epochs": 50,
        "trainer.early_stopping.patience": 1,
        "trainer.optimizer.lr": 1e-9,
        "trainer.early_stopping.monitor": "val/accuracy",
        "trainer.early_stopping.mode": "max",
    }
    run = lab.run("cnn-mnist", overrides, runs_dir="runs")
    epochs = [row["epoch"] for row in read_journal(run.dir / "metrics.jsonl") if row["axis"] == "epoch"]
    assert max(epochs) < 10


def test_divergence_is_named_and_recorded() -> None:
    with pytest.raises(DivergedError, match=r"train/\w+ became (nan|inf)"):
        lab.run("vae-mnist", DIGITS | {"trainer.optimizer.lr": 1e6, "trainer.max_epochs": 3}, runs_dir="runs")
    from lab.runs.summary import local_runs, runs_folder

    (run,) = local_runs(runs_folder("runs"))
    assert run.status == "diverged"
    assert run.verdict == "not-comparable"


def test_the_judge_is_the_same_whatever_the_generators_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 50)

    def real_distance(**overrides: Any) -> Any:
        settings = SMALL_GAN | {"model.fid_samples": 300, "trainer.max_epochs": 1}
        run = lab.run("gan-mnist", settings | overrides, runs_dir="runs")
        return run.metrics["test/classifier_fid_real"], run.metrics["test/judge_accuracy"]

    assert real_distance() == real_distance(**{"data.batch_size": 64, "seed": 5})


def test_a_diverged_evaluation_is_no_completed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VAE, "negative_log_likelihood", lambda self, x: torch.full((len(x),), torch.nan))
    with pytest.raises(DivergedError, match="test/nll: not finite"):
        lab.run("vae-mnist", DIGITS, runs_dir="runs", fast_dev_run=True)


def test_a_picture_that_fails_does_not_cost_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(VAE, "pictures", lambda self, batch: 1 / 0)
    run = lab.run("vae-mnist", DIGITS, runs_dir="runs", fast_dev_run=True)
    assert run.status == "completed"
    assert run.metrics["test/nll"]
    assert "could not be drawn: ZeroDivisionError" in capsys.readouterr().err


def test_ppo_plays_with_discrete_observations() -> None:
    run = lab.run("ppo-cartpole", {"env.id": "FrozenLake-v1"}, runs_dir="runs", fast_dev_run=True)
    assert run.status == "completed"
