"""Running statistics are those of all data so far, and they are part of the agent."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import lab
from agents.core.state import agent_state, load_agent_state
from agents.dqn.dqn import DQN
from agents.networks.normalization import RewardScale, RunningNorm
from agents.ppo.ppo import PPO
from lab.encoders import MLP, Pretrained
from lab.encoders.files import save_encoder
from lab.errors import ConfigError
from tests.support.tasks import Identity, Recite, collect, collect_more, dqn, mean_return, ppo, together

SCALES, SHIFTS = np.array([1e-3, 1e3, 1.0, 50.0]), np.array([5.0, -2e4, 0.0, 1e3])


class BadlyScaled(gym.ObservationWrapper[Any, Any, Any]):
    """Identity whose observations are on scales far apart, and far from zero."""

    def __init__(self) -> None:
        super().__init__(Identity(spaces.Discrete(4)))
        self.observation_space = spaces.Box(-1e6, 1e6, (4,), np.float32)

    def observation(self, observation: Any) -> Any:
        return (observation * SCALES + SHIFTS).astype(np.float32)


# --- Observations


@pytest.mark.parametrize("chunks", [[500], [1, 1, 498], [100] * 5, [3, 200, 7, 290]])
def test_statistics_do_not_depend_on_chunks(chunks: list[int]) -> None:
    data = torch.randn(500, 4, dtype=torch.float64).numpy() * SCALES + SHIFTS
    norm, at = RunningNorm((4,)), 0
    for chunk in chunks:
        norm.update(torch.from_numpy(data[at : at + chunk]).float())
        at += chunk
    assert norm.count == 500
    np.testing.assert_allclose(norm.running_mean, data.mean(0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(norm.running_var.sqrt(), data.std(0), rtol=2e-3)


def test_observations_are_standardised_and_clipped() -> None:
    norm = RunningNorm((2,))
    x = torch.tensor([[3.0, -7.0], [20.0, 1.0]])
    assert torch.equal(norm(x), x.clamp(-10, 10)), "before the first update nothing is changed but extremes"
    norm.update(torch.tensor([[0.0, 10.0], [2.0, 30.0]]))
    torch.testing.assert_close(norm(torch.tensor([[3.0, 20.0]])), torch.tensor([[2.0, 0.0]]))
    assert norm(torch.tensor([[1e9, -1e9]])).tolist() == [[10, -10]]


def test_constant_columns_stay_finite() -> None:
    norm = RunningNorm((2,))
    norm.update(torch.full((50, 2), 7.0))
    assert norm(torch.full((1, 2), 7.0)).tolist() == [[0, 0]]


def test_resets_clear_returns() -> None:
    agent = ppo(together(BadlyScaled, 2), normalize_rewards=True, n_steps=20, batch_size=40)
    assert agent.reward_scale is not None
    agent.learn(40)
    assert agent.reward_scale.returns.all()
    agent.begin_episodes()
    assert not agent.reward_scale.returns.any()


def test_ppo_statistics() -> None:
    agent = ppo(together(BadlyScaled, 2), normalize_observations=True)
    norm = agent.policy.pi_features_extractor.norm
    assert norm is not None
    _, callback = agent._setup_learn(1000)
    seen = []
    for _ in range(3):
        before = norm.running_mean.clone()
        collect_more(agent, callback)
        assert torch.equal(norm.running_mean, before)
        batch = next(agent.rollout_buffer.batches(64, normalize=True))
        heads = agent.policy.heads(batch.observations)
        torch.testing.assert_close(heads.values, batch.values)
        agent.train()
        observations = agent.rollout_buffer.observations
        assert isinstance(observations, torch.Tensor)
        seen.append(observations.flatten(0, 1).clone())
    everything = torch.cat(seen).double().numpy()
    np.testing.assert_allclose(norm.running_mean, everything.mean(0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(norm.running_var.sqrt(), everything.std(0), rtol=1e-2)


def test_encoder_says_that_it_saw_them_normalised(tmp_path: Path) -> None:
    before = ppo(together(BadlyScaled, 2), normalize_observations=True)
    save_encoder(before.encoder, tmp_path, before.trained_on)
    kept = Pretrained(str(tmp_path))
    assert not ppo(together(BadlyScaled, 2), encoder=kept, normalize_observations=True).carried()
    (note,) = dqn(together(BadlyScaled, 2), encoder=kept).carried()
    assert note == (
        "the pretrained encoder was trained on inputs standardised by their running mean and variance, and gets them "
        "as they are in the data; --agent.normalize_observations=true prepares them as then"
    )


def test_dqn_statistics() -> None:
    agent = dqn(together(BadlyScaled, 2), normalize_observations=True, buffer_size=1000)
    agent.learn(200)
    norm, rows = agent.policy.q_net.features_extractor.norm, agent.replay_buffer
    assert norm is not None
    assert norm.count == 200 + 8  # a round of 8 steps of 2 environments ends beyond the 200
    everything = rows.observations[: rows.size()].reshape(-1, 4).astype(np.float64)
    np.testing.assert_allclose(norm.running_mean, everything.mean(0), rtol=1e-4, atol=1e-3)
    assert agent.policy.q_net_target.features_extractor.norm is norm, "both networks see the same"


@pytest.mark.parametrize("share", [True, False])
def test_normalization_helps_bad_scales(share: bool) -> None:
    scores = {}
    for normalize in (True, False):
        agent = ppo(
            together(BadlyScaled, 4), normalize_observations=normalize, share_encoder=share, batch_size=64, gamma=0.5
        )
        agent.learn(2000)
        scores[normalize] = mean_return(agent, BadlyScaled)
    assert scores[True] == 8
    assert scores[False] < 6


def test_dqn_learns_on_bad_scales() -> None:
    agent = dqn(together(BadlyScaled, 4), normalize_observations=True, gamma=0.5, normalize_rewards=True)
    agent.learn(2000)
    assert mean_return(agent, BadlyScaled) == 8


def test_images_and_dicts_are_refused() -> None:
    env = together(lambda: gym.make("agents.environments.cartpole:CartPolePixels-v1"), 1)
    with pytest.raises(ConfigError, match="normalize_observations needs vectors of numbers"):
        ppo(env, normalize_observations=True)


# --- Rewards


def test_reward_scale_is_return_deviation() -> None:
    random = np.random.default_rng(0)
    rewards, ended = 5 * random.normal(size=(60, 3)), random.random((60, 3)) < 0.1
    returns, running = [], np.zeros(3)
    for reward, end in zip(rewards, ended, strict=True):
        running = 0.9 * running + reward
        returns.append(running)
        running = np.where(end, 0.0, running)
    for chunk in (60, 20, 7):
        scale = RewardScale(3, 0.9)
        assert scale.factor == pytest.approx(1)
        for start in range(0, 60, chunk):
            scale.update(rewards[start : start + chunk], ended[start : start + chunk])
        assert scale.factor == pytest.approx(1 / np.std(returns))
        assert scale.count == 180


def test_rewards_are_scaled_before_bootstrapping() -> None:
    env, plain = (together(lambda: Identity(spaces.Discrete(3)), 2) for _ in range(2))
    agent = ppo(env, normalize_rewards=True, gamma=0.9)
    collect(agent)
    plain.reset()
    scale, rollout = RewardScale(2, 0.9), agent.rollout_buffer
    steps = [plain.advance(actions.numpy()) for actions in rollout.actions]
    scale.update(np.stack([s.rewards for s in steps]), np.stack([s.terminated | s.truncated for s in steps]))
    assert agent.reward_scale is not None
    assert agent.reward_scale.factor == pytest.approx(scale.factor)
    ended = np.stack([s.truncated for s in steps])
    scaled = np.stack([s.rewards for s in steps]) * scale.factor
    np.testing.assert_allclose(rollout.rewards[~ended], scaled[~ended], rtol=1e-5)
    assert ended.sum() == 8
    agent.reward_scale.var = 1e-12
    rollout.rewards[:] = 1.0
    agent.reward_scale.count = 1e12  # what is to come changes nothing any more
    with torch.no_grad():
        agent._finish(rollout, [])
    assert (rollout.rewards == 10).all()


def test_figures_are_of_the_true_rewards() -> None:
    agent = ppo(together(lambda: Identity(spaces.Discrete(3)), 2), normalize_rewards=True)
    agent.learn(256)
    assert agent.ep_info_buffer
    assert all(episode["r"] in range(9) for episode in agent.ep_info_buffer)


# --- Part of the agent


def build(kind: str, seed: int = 0) -> PPO | DQN:
    settings: dict[str, Any] = {"normalize_observations": True, "normalize_rewards": True, "seed": seed}
    env = together(BadlyScaled, 2)
    if kind == "ppo":
        return ppo(env, **settings, share_encoder=False)
    return dqn(env, **settings, average=0.5 if kind == "dqn-average" else 0.0)


@pytest.mark.parametrize("kind", ["ppo", "dqn", "dqn-average"])
def test_statistics_survive_checkpoints(kind: str) -> None:
    agent = build(kind)
    agent.learn(300)
    state = copy.deepcopy(agent_state(agent))
    other = build(kind, seed=1)
    other._setup_learn(300)
    assert load_agent_state(other, state) == []
    assert other.reward_scale is not None
    assert agent.reward_scale is not None
    assert other.reward_scale.factor == agent.reward_scale.factor
    np.testing.assert_array_equal(other.reward_scale.returns, agent.reward_scale.returns)
    for name, value in agent.policy.state_dict().items():
        assert torch.equal(other.policy.state_dict()[name], value), name
    assert any("running_mean" in name for name in agent.policy.state_dict())
    env = BadlyScaled()
    observations = np.stack([env.reset(seed=seed)[0] for seed in range(50)])
    expected = agent.act(observations)[0]
    np.testing.assert_array_equal(other.act(observations)[0], expected)
    third = build(kind, seed=2)
    third.acting_policy.load_state_dict(agent.acting_policy.state_dict())  # as `lab eval` does
    np.testing.assert_array_equal(third.act(observations)[0], expected)
    for name, buffer in third.acting_policy.named_buffers():
        if name.endswith("running_mean"):
            buffer.zero_()
    assert (third.act(observations)[0] != expected).any(), "the statistics matter"


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_best_keeps_own_statistics(kind: str) -> None:
    """The best policy's figures are of the policy with the statistics that it had."""
    overrides: dict[str, Any] = {"env.id": "tests.support.tasks:Recite-v0", "env.num_envs": 2, "total_timesteps": 600}
    overrides |= {"agent.normalize_observations": True, "evaluation.every": 200, "evaluation.episodes": 5}
    if kind == "ppo":
        overrides |= {"agent.batch_size": 32, "agent.n_steps": 16, "agent.n_epochs": 1}
    else:
        overrides |= {"agent.learning_starts": 50, "agent.train_freq": 16, "agent.gradient_steps": 2}
    run = lab.run(f"{kind}-cartpole", overrides, runs_dir="runs")
    again = lab.evaluate(run.dir).metrics
    for name in ("eval/return_mean", "best/return_mean"):
        assert again[name] == run.metrics[name]


def test_no_norm_no_statistics() -> None:
    agent = ppo(together(Recite, 1), encoder=partial(MLP, hidden=[4]))
    assert not any("running" in name for name in agent.policy.state_dict())
