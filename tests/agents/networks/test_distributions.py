"""The distributions over actions are torch's and SB3's, and samples follow them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from torch import Tensor, distributions

from agents.networks.distributions import ActionDistribution, Gaussian, StateDependentNoise, action_distribution
from lab.errors import ConfigError

DRAWS = 20_000
SPACES: dict[str, tuple[spaces.Space[Any], int]] = {
    "discrete": (spaces.Discrete(5), 5),
    "multi-discrete": (spaces.MultiDiscrete([3, 2, 4]), 9),
    "multi-binary": (spaces.MultiBinary(4), 4),
    "box": (spaces.Box(-1, 1, (3,), np.float32), 3),
    "gsde": (spaces.Box(-1, 1, (3,), np.float32), 3),
}
LOG_STD = torch.tensor([-0.5, 0.2, 0.1])
every = pytest.mark.parametrize("name", SPACES)


def given(name: str, rows: int = 64) -> tuple[ActionDistribution, Tensor, Tensor]:
    """A distribution, with outputs and latents to condition it on."""
    random = torch.Generator().manual_seed(0)
    space, width = SPACES[name]
    outputs, latent = torch.randn(rows, width, generator=random), torch.randn(rows, 7, generator=random)
    log_std = {"box": LOG_STD, "gsde": torch.randn(7, 3, generator=random) - 1}.get(name)
    return action_distribution(space, log_std, gsde=name == "gsde"), outputs, latent


def reference(name: str, ours: ActionDistribution, outputs: Tensor, latent: Tensor) -> list[Any]:
    """torch's distributions for the parts of an action, one after the other."""
    if name in ("discrete", "multi-discrete"):
        sizes = [5] if name == "discrete" else [3, 2, 4]
        return [distributions.Categorical(logits=logits) for logits in torch.split(outputs, sizes, 1)]
    if name == "multi-binary":
        return [distributions.Bernoulli(logits=logits) for logits in outputs.T]
    if name == "box":
        return [distributions.Normal(outputs[:, i], LOG_STD[i].exp()) for i in range(3)]
    assert isinstance(ours, StateDependentNoise)
    std = (latent.square() @ ours.log_std.exp().square() + 1e-6).sqrt()
    return [distributions.Normal(outputs[:, i], std[:, i]) for i in range(3)]


def parts_of(name: str, actions: Tensor) -> list[Tensor]:
    parts = [actions] if name == "discrete" else list(actions.T)
    return [part.float() for part in parts]


@every
def test_log_probabilities_and_entropies_are_torchs(name: str) -> None:
    ours, outputs, latent = given(name)
    torch.manual_seed(0)
    actions = ours.sample(outputs, latent)
    log_probs = ours.log_prob(outputs, latent, actions)
    theirs = reference(name, ours, outputs, latent)
    expected = torch.stack([one.log_prob(part) for one, part in zip(theirs, parts_of(name, actions), strict=True)])
    torch.testing.assert_close(ours.log_prob(outputs, latent, actions), expected.sum(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(log_probs, expected.sum(0), rtol=1e-5, atol=1e-5)
    entropy = torch.stack([one.entropy() for one in theirs]).sum(0)
    torch.testing.assert_close(ours.entropy(outputs, latent), entropy, rtol=1e-5, atol=1e-5)
    assert log_probs.shape == entropy.shape == (64,)


@every
def test_mode_is_likeliest(name: str) -> None:
    ours, outputs, latent = given(name)
    mode = ours.log_prob(outputs, latent, ours.mode(outputs))
    for seed in range(20):
        torch.manual_seed(seed)
        assert (ours.log_prob(outputs, latent, ours.sample(outputs, latent)) <= mode + 1e-5).all()
    space = SPACES[name][0]
    if not isinstance(space, spaces.Box):
        assert all(space.contains(action) for action in ours.mode(outputs).numpy())


@pytest.mark.parametrize("name", ["discrete", "multi-discrete", "multi-binary"])
def test_samples_follow_the_probabilities(name: str) -> None:
    """Pearson's statistic of 20,000 draws, for each part of the action; its 99.99 % quantile is below 24 everywhere."""
    ours, outputs, latent = given(name, rows=1)
    torch.manual_seed(0)
    actions = ours.sample(outputs.expand(DRAWS, -1), latent.expand(DRAWS, -1))
    assert SPACES[name][0].contains(actions[0].numpy())
    for one, part in zip(reference(name, ours, outputs, latent), parts_of(name, actions), strict=True):
        probability = torch.stack([1 - one.probs[0], one.probs[0]]) if name == "multi-binary" else one.probs[0]
        observed = torch.bincount(part.long(), minlength=len(probability))
        expected = DRAWS * probability
        assert ((observed - expected).square() / expected).sum() < 24
    if name != "discrete":  # the parts are independent
        correlation = torch.corrcoef(actions.T.float()) - torch.eye(actions.shape[1])
        assert correlation.abs().max() < 4 / DRAWS**0.5


def test_gaussian_mean_and_deviation() -> None:
    ours, outputs, latent = given("box", rows=1)
    torch.manual_seed(0)
    actions = ours.sample(outputs.expand(DRAWS, -1), latent.expand(DRAWS, -1))
    torch.testing.assert_close(actions.mean(0), outputs[0], rtol=0, atol=4 * 1.3 / DRAWS**0.5)
    torch.testing.assert_close(actions.std(0), LOG_STD.exp(), rtol=0.03, atol=0)


def test_state_dependent_noise_is_sb3s() -> None:
    ours, outputs, latent = given("gsde")
    assert isinstance(ours, StateDependentNoise)
    theirs = StateDependentNoiseDistribution(3, learn_features=False)
    theirs.proba_distribution_net(latent_dim=7, latent_sde_dim=7)
    theirs.proba_distribution(outputs, ours.log_std, latent)
    torch.manual_seed(0)
    actions = ours.sample(outputs, latent)
    log_probs = ours.log_prob(outputs, latent, actions)
    torch.testing.assert_close(log_probs, theirs.log_prob(actions), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.entropy(outputs, latent), theirs.entropy(), rtol=1e-5, atol=1e-5)


def test_gsde_noise_is_a_function() -> None:
    ours, outputs, latent = given("gsde", rows=4)
    torch.manual_seed(0)
    ours.resample(4)
    first = ours.sample(outputs, latent)
    again = ours.sample(outputs, latent)
    assert torch.equal(first, again)
    double = ours.sample(torch.zeros_like(outputs), 2 * latent)
    torch.testing.assert_close(double, 2 * (first - outputs), rtol=1e-4, atol=1e-5)
    ours.resample(4)
    other = ours.sample(outputs, latent)
    assert not torch.equal(first, other)
    same = ours.sample(outputs[:1].expand(4, -1), latent[:1].expand(4, -1))
    assert len(torch.unique(same, dim=0)) == 4, "each environment has noise of its own"


def test_gsde_deviation() -> None:
    ours, outputs, latent = given("gsde", rows=1)
    torch.manual_seed(0)
    ours.resample(DRAWS)
    actions = ours.sample(outputs.expand(DRAWS, -1), latent.expand(DRAWS, -1))
    (one,) = [normal.stddev for normal in reference("gsde", ours, outputs, latent)[:1]]
    assert actions[:, 0].std().item() == pytest.approx(one.item(), rel=0.03)


def test_gsde_leaves_features_alone() -> None:
    ours, outputs, latent = given("gsde")
    latent.requires_grad_()
    outputs.requires_grad_()
    total = ours.log_prob(outputs, latent, torch.zeros(64, 3)).sum()
    by_latent, by_outputs = torch.autograd.grad(total, [latent, outputs], allow_unused=True)
    assert by_latent is None
    assert by_outputs is not None


@every
def test_gradients_by_the_outputs_are_torchs(name: str) -> None:
    ours, outputs, latent = given(name)
    torch.manual_seed(0)
    actions = ours.sample(outputs, latent)
    outputs.requires_grad_()
    theirs = reference(name, ours, outputs, latent)
    sums = [one.log_prob(part) + 0.3 * one.entropy() for one, part in zip(theirs, parts_of(name, actions), strict=True)]
    (expected,) = torch.autograd.grad(torch.stack(sums).sum(), outputs)
    total = ours.log_prob(outputs, latent, actions).sum() + 0.3 * ours.entropy(outputs, latent).sum()
    (mine,) = torch.autograd.grad(total, outputs)
    torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)


def test_impossible_and_certain_actions_stay_finite() -> None:
    """Logits far apart: what is all but impossible is not drawn, and nothing becomes NaN."""
    logits = torch.tensor([[200.0, -200.0, 0.0]]).expand(100, -1)
    for space in (spaces.Discrete(3), spaces.MultiDiscrete([3]), spaces.MultiBinary(3)):
        ours = action_distribution(space, None, gsde=False)
        actions = ours.sample(logits, logits)
        log_probs = ours.log_prob(logits, logits, actions)
        assert log_probs.isfinite().all()
        assert ours.entropy(logits, logits).isfinite().all()
        assert torch.equal(actions.view(100, -1)[:, 0], ours.mode(logits).view(100, -1)[:, 0])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=1),
        spaces.MultiDiscrete(np.array([[2, 3], [2, 2]])),
        spaces.MultiDiscrete([2, 3], start=[1, 0]),
        spaces.MultiBinary([2, 2]),
        spaces.Box(-1, 1, (2, 2), np.float32),
        spaces.Box(-1, 1, (), np.float32),
        spaces.Box(0, 9, (2,), np.int64),
        spaces.Dict({"a": spaces.Discrete(2)}),
        spaces.Text(3),
    ],
)
def test_other_spaces_are_refused(space: spaces.Space[Any]) -> None:
    with pytest.raises(ConfigError, match="agents take Discrete, MultiDiscrete, MultiBinary and real Box actions"):
        action_distribution(space, LOG_STD, gsde=False)


def test_box_without_gsde_is_gaussian() -> None:
    assert type(action_distribution(SPACES["box"][0], LOG_STD, gsde=False)) is Gaussian
