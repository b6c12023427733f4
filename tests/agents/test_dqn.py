"""DQN's gradients, schedules and updates are SB3's; double and dueling are what their papers say."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
import stable_baselines3
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor

from agents.dqn.batches import Following, Minibatch, split
from agents.dqn.dqn import DQN
from agents.dqn.losses import td_loss
from agents.environments.settings import EnvSettings, Plan
from agents.environments.vector import Steps
from agents.networks.q_network import DuelingHead
from lab.encoders import MLP
from lab.encoders.networks.recurrent import Recurrent
from lab.errors import ConfigError
from tests.support.tasks import Counter, Identity, dqn, together, weights


def fill(agent: DQN, rows: int = 100) -> None:
    """Random transitions with ends of both kinds, and rewards on both sides of the Huber loss's corner."""
    random = np.random.default_rng(0)
    for _ in range(rows):
        seen, after, last = random.normal(size=(3, 2, 4)).astype(np.float32)
        actions, rewards = random.integers(3, size=2), 2 * random.normal(size=2).astype(np.float32)
        terminated, truncated = random.random((2, 2)) < 0.2
        ended = (terminated | truncated).any()
        agent.replay_buffer.add(seen, actions, Steps(after, rewards, terminated, truncated, last if ended else None))


# --- Gradients and updates


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_equal_textbook(double: bool, weighted: bool) -> None:
    agent = dqn(together(Counter, 2), double=double, prioritized_alpha=0.6 if weighted else None, max_grad_norm=1e9)
    fill(agent)
    with torch.no_grad():
        for parameter in agent.policy.q_net_target.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    if agent.replay_buffer.priorities is not None:
        agent.replay_buffer.priorities.update(np.arange(200), np.abs(torch.randn(200).numpy()))
    agent._setup_learn(1000)
    torch.manual_seed(5)
    batch = agent.replay_buffer.sample(64, beta=0.4)
    before = agent.replay_buffer.priorities.tree.copy() if agent.replay_buffer.priorities else None
    online, target = agent.policy.q_net, agent.policy.q_net_target
    with torch.no_grad():
        following = target.values(batch.next_observations)
        chosen = (online.values(batch.next_observations) if double else following).argmax(1, keepdim=True)
        wanted = batch.rewards + batch.discounts * following.gather(1, chosen).squeeze(1)
    values = online.values(batch.observations).gather(1, batch.actions[:, None]).squeeze(1)
    losses = F.smooth_l1_loss(values, wanted, reduction="none")
    loss = (losses if batch.weights is None else losses * batch.weights).mean()
    expected = torch.autograd.grad(loss, list(online.parameters()))
    torch.manual_seed(5)
    agent.train(1, 64)
    for mine, gradient in zip(agent.descent._gradients, expected, strict=True):
        torch.testing.assert_close(mine, gradient, rtol=1e-4, atol=1e-6)
    if before is not None:
        assert agent.replay_buffer.priorities is not None
        slots = agent.replay_buffer.drawn
        learned = agent.replay_buffer.priorities.of(slots)
        order = {int(slot): i for i, slot in enumerate(slots)}  # the last of those drawn twice
        errors = (values - wanted).detach().abs().numpy()
        exact = [(errors[order[int(slot)]] + 1e-6) ** 0.6 for slot in slots]
        np.testing.assert_allclose(learned, exact, rtol=1e-4)


def test_batches_are_split_in_order() -> None:
    columns = [torch.arange(6), torch.arange(6, 12)]
    seen = {"far": columns[0], "near": columns[1]}
    after = Following(seen, columns[1], columns[0], columns[1])
    first, second = split(Minibatch(seen, columns[0], None, after, None), 3, 2)
    assert isinstance(second, Minibatch)
    assert isinstance(second.following, Following)
    assert isinstance(second.observations, dict)
    assert isinstance(second.following.observations, dict)
    assert (second.targets, second.weights) == (None, None)
    assert first.actions.tolist() == [0, 1, 2]
    assert second.observations["near"].tolist() == second.following.observations["near"].tolist() == [9, 10, 11]


@pytest.mark.parametrize("ends", [None, "terminated", "truncated"])
def test_updates_equal_sb3(ends: str | None) -> None:
    """Many steps on one transition, the only one there is: losses, clipping and Adam are the same, and what an
    episode's end means too."""
    settings: dict[str, Any] = {"learning_rate": 1e-3, "gamma": 0.9, "buffer_size": 1, "max_grad_norm": 0.5}
    ours = dqn(together(Counter, 1), encoder=partial(MLP, hidden=[64, 64]), double=False, **settings)
    theirs = stable_baselines3.DQN("MlpPolicy", DummyVecEnv([Counter]), device="cpu", **settings)
    theirs.set_logger(Logger(None, []))
    with torch.no_grad():
        for mine, other in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
            other.copy_(mine)
    seen, after, last = np.random.default_rng(0).normal(size=(3, 1, 4)).astype(np.float32)
    actions, rewards = np.array([2]), np.full(1, 3.0, np.float32)
    terminated, truncated = np.array([ends == "terminated"]), np.array([ends == "truncated"])
    ours.replay_buffer.add(seen, actions, Steps(after, rewards, terminated, truncated, last if ends else None))
    following, infos = last if ends else after, [{"TimeLimit.truncated": ends == "truncated"}]
    theirs.replay_buffer.add(seen, following, actions, rewards, terminated | truncated, infos)  # type: ignore[union-attr]
    before = weights(ours.policy.q_net)
    ours.train(60, 32)
    theirs.train(60, 32)
    assert ours._n_updates == theirs._n_updates == 60
    for mine, other in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
    assert (weights(ours.policy.q_net) - before).abs().max() > 1e-3


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_hubers(weighted: bool) -> None:
    errors = 3 * torch.randn(64)
    importance = torch.rand(64) if weighted else None
    losses = torch.where(errors.abs() < 1, 0.5 * errors**2, errors.abs() - 0.5)
    torch.testing.assert_close(td_loss(errors, importance), (losses * (1 if importance is None else importance)).mean())


def test_batches_drawn_together_teach_equally() -> None:
    agents = [dqn(together(Counter, 2), batch_size=64, n_steps=3) for _ in range(2)]
    for agent in agents:
        fill(agent)
        agent._setup_learn(1000)
        torch.manual_seed(0)
    agents[0].train(40, 64)
    torch.manual_seed(0)
    online = agents[1].policy.q_net
    for batches in (16, 16, 8):
        batch = agents[1].replay_buffer.sample(batches * 64)
        for i in range(len(batch.actions) // 64):
            part = slice(64 * i, 64 * (i + 1))
            observations, following = batch.observations, batch.next_observations
            assert isinstance(observations, Tensor)
            assert isinstance(following, Tensor)
            with torch.no_grad():
                best = online.values(following[part]).argmax(1, keepdim=True)
                bootstrap = agents[1].policy.q_net_target.values(following[part]).gather(1, best).squeeze(1)
            wanted = batch.rewards[part] + batch.discounts[part] * bootstrap
            values = online.values(observations[part]).gather(1, batch.actions[part, None]).squeeze(1)
            agents[1].policy.optimizer.zero_grad()
            torch.autograd.backward(F.smooth_l1_loss(values, wanted))
            torch.nn.utils.clip_grad_norm_(online.parameters(), 10.0)
            agents[1].policy.optimizer.step()
    torch.testing.assert_close(weights(agents[0].policy.q_net), weights(online), rtol=0, atol=1e-5)


def test_double_leaves_batch_statistics() -> None:
    agents = [dqn(together(Counter, 1), double=d, encoder=partial(MLP, hidden=[8], batch_norm=True)) for d in (0, 1)]
    for agent in agents:
        agent.learn(256)
    one, other = ([int(b) for name, b in agent.policy.q_net.named_buffers() if "tracked" in name] for agent in agents)
    assert one == other
    assert one[0] > 0


# --- Dueling


def test_dueling_closed_form() -> None:
    """Wang et al. 2016, equation 9: the mean over actions is V, and shifting all advantages changes nothing."""
    head = DuelingHead(6, 4, [8])
    features = torch.randn(5, 6)
    values = head(features)
    torch.testing.assert_close(values.mean(1, keepdim=True), head.value(features))
    advantage = head.advantage(features)
    torch.testing.assert_close(values - values[:, :1], advantage - advantage[:, :1])
    with torch.no_grad():
        list(head.advantage.parameters())[-1].add_(7.0)
    torch.testing.assert_close(head(features), values)


def test_dueling_in_both_networks() -> None:
    agent = dqn(together(Counter, 2), dueling=True, net_arch=[16])
    assert all(isinstance(net.q_net, DuelingHead) for net in (agent.policy.q_net, agent.policy.q_net_target))
    online = {id(parameter) for parameter in agent.policy.q_net.parameters()}
    assert {id(p) for group in agent.policy.optimizer.param_groups for p in group["params"]} == online
    torch.testing.assert_close(weights(agent.policy.q_net), weights(agent.policy.q_net_target))
    fill(agent)
    before = weights(agent.policy.q_net)
    agent.train(5, 32)
    assert (weights(agent.policy.q_net.q_net.value) != 0).any()  # type: ignore[arg-type]
    assert not torch.equal(before, weights(agent.policy.q_net))


# --- Schedules


class Follow(BaseCallback):
    """Notes at every rollout epsilon, the updates so far and whether the target network has changed."""

    def __init__(self) -> None:
        super().__init__()
        self.epsilon: list[float] = []
        self.updates: list[int] = []
        self.changed: list[int] = []
        self.last: Tensor | None = None

    def _on_step(self) -> bool:
        model: Any = self.model
        now = weights(model.policy.q_net_target)
        if self.last is not None and not torch.equal(now, self.last):
            self.changed.append(self.num_timesteps)
        self.last = now
        self.epsilon.append(model.exploration_rate)
        self.updates.append(model._n_updates)
        return True


@pytest.mark.parametrize(
    ("envs", "tau", "gradient_steps"),
    [
        pytest.param(*one, marks=() if one in ((2, 0.5, -1), (2, 1.0, 1), (1, 0.5, 1)) else pytest.mark.slow)
        for one in itertools.product((1, 2), (1.0, 0.5), (1, -1))
    ],
)
def test_schedules_equal_sb3(envs: int, tau: float, gradient_steps: int) -> None:
    settings: dict[str, Any] = {"learning_starts": 40, "train_freq": 4, "gradient_steps": gradient_steps, "tau": tau}
    settings |= {"target_update_interval": 24, "exploration_fraction": 0.5, "buffer_size": 500, "batch_size": 8}
    settings |= {"exploration_initial_eps": 0.9, "exploration_final_eps": 0.1, "learning_rate": 1e-2}
    ours = dqn(together(Counter, envs), **settings)
    theirs = stable_baselines3.DQN("MlpPolicy", DummyVecEnv([Counter] * envs), device="cpu", **settings)
    seen = []
    for agent in (ours, theirs):
        follow = Follow()
        agent.learn(240, callback=follow)
        seen.append(follow)
    mine, other = seen
    assert mine.epsilon == pytest.approx(other.epsilon)
    assert max(mine.epsilon) == pytest.approx(0.9, abs=0.02)
    assert mine.epsilon[-1] == pytest.approx(0.1)
    assert mine.updates == other.updates
    if tau == 1 and envs == 1:
        assert mine.changed == other.changed
        assert len(mine.changed) > 3
    if tau == 0.5:  # SB3 goes on moving towards what has not changed, and so do we
        assert set(mine.changed) == set(other.changed)
    assert (
        ours._n_updates
        == theirs._n_updates
        == sum((4 * envs if gradient_steps == -1 else 1) for steps in range(4 * envs, 241, 4 * envs) if steps > 40)
    )


def test_the_target_network_moves_by_tau() -> None:
    agent = dqn(together(Counter, 1), tau=0.25, target_update_interval=1, learning_starts=10_000)
    with torch.no_grad():
        for parameter in agent.policy.q_net.parameters():
            parameter.add_(torch.randn_like(parameter))
    online, target = weights(agent.policy.q_net), weights(agent.policy.q_net_target)
    agent._on_step()
    expected = 0.75 * target + 0.25 * online
    torch.testing.assert_close(weights(agent.policy.q_net_target), expected)
    agent._on_step()
    torch.testing.assert_close(weights(agent.policy.q_net_target), 0.75 * expected + 0.25 * online)


def test_actions_are_epsilon_greedy() -> None:
    """At epsilon 0.5 and 3 actions the greedy one is taken with probability 2/3, in each environment for itself."""
    agent = dqn(together(Counter, 4), train_freq=800, learning_starts=0, exploration_fraction=0.0, seed=1)
    agent._setup_learn(10_000)
    agent.exploration_rate = 0.5
    agent.exploration_schedule = lambda _: 0.5
    _, callback = agent._setup_learn(10_000)
    callback.on_training_start({}, {})
    agent.collect_rollouts(agent.vec_env, callback, agent.train_freq, agent.replay_buffer)
    buffer = agent.replay_buffer
    greedy, _ = agent.act(buffer.observations[:500].reshape(-1, 4))
    same = (greedy == buffer.actions[:500].reshape(-1)).reshape(500, 4)
    assert same.mean() == pytest.approx(2 / 3, abs=4 * 0.5 / 2000**0.5)
    assert np.abs(np.corrcoef(same.T) - np.eye(4)).max() < 4 / 500**0.5


def test_never_learning_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    for steps, said in ((64, True), (128, False)):
        dqn(together(Counter, 2), learning_starts=64).learn(steps)
        assert ("never learns: agent.learning_starts is 64" in capsys.readouterr().err) == said


def test_play_is_random_until_learning_starts() -> None:
    agent = dqn(together(Counter, 2), train_freq=300, learning_starts=600, exploration_initial_eps=0.0)
    _, callback = agent._setup_learn(10_000)
    agent.collect_rollouts(agent.vec_env, callback, agent.train_freq, agent.replay_buffer, learning_starts=600)
    share = np.bincount(agent.replay_buffer.actions[:300].reshape(-1), minlength=3) / 600
    np.testing.assert_allclose(share, 1 / 3, atol=0.08)
    assert agent._n_updates == 0


def test_new_learn_ends_sums() -> None:
    agent = dqn(together(lambda: Counter(((100, True),)), 1), n_steps=5, train_freq=1, learning_starts=1000)
    agent.learn(3)
    agent.learn(8)
    buffer = agent.replay_buffer
    assert buffer.truncated[:, 0].nonzero()[0].tolist() == [2], "SB3 resets the environments there"
    agent.learn(4, reset_num_timesteps=False)
    assert buffer.truncated[:, 0].nonzero()[0].tolist() == [2], "and here it does not"


# --- What is put into replay


@pytest.mark.parametrize("plan", ["native", "sync", "async"])
@pytest.mark.parametrize("name", ["CartPoleMasked", "CartPolePixels"])
def test_replay_holds_copies(plan: Any, name: str) -> None:
    """Environments write into the same arrays again and again: what is kept must be a copy, and of the right step."""
    settings = EnvSettings(f"agents.environments.cartpole:{name}-v1", num_envs=2)
    seen = []
    for count in (1, 30):  # how the steps are cut into rounds makes no difference
        with_encoder: dict[str, Any] = {
            "encoder": partial(MLP, hidden=[4]),
            "buffer_size": 120,
            "learning_starts": 1000,
        }
        agent = dqn(settings.make_vec(0, Plan(plan, "native", None)), train_freq=count, **with_encoder)
        agent.learn(120)
        buffer, env = agent.replay_buffer, settings.make_vec(0, Plan(plan, "native", None))
        observations: Any = np.copy(env.reset())  # type: ignore[arg-type]
        for t in range(60):
            np.testing.assert_array_equal(buffer.observations[t], observations)
            steps = env.advance(buffer.actions[t])
            observations = np.copy(steps.observations)
            after = observations.copy()
            ended = steps.terminated | steps.truncated
            if steps.last is not None:
                after[ended] = steps.last[ended]
            np.testing.assert_array_equal(buffer.next_observations[t], after)
            np.testing.assert_array_equal(buffer.rewards[t], steps.rewards)
            np.testing.assert_array_equal(buffer.terminated[t], steps.terminated)
            np.testing.assert_array_equal(buffer.truncated[t], steps.truncated)
        seen.append(buffer.actions.copy())
        agent.vec_env.close()
        env.close()


# --- The average, and refusals


def test_average_follows_and_acts() -> None:
    agent = dqn(together(Counter, 2), average=0.75)
    fill(agent)
    mean = weights(agent.averaged_policy.q_net)
    for _ in range(3):
        agent.train(2, 32)
        mean = 0.75 * mean + 0.25 * weights(agent.policy.q_net)
        torch.testing.assert_close(weights(agent.averaged_policy.q_net), mean)
    seen = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    with torch.no_grad():
        expected = agent.averaged_policy.q_net.values(torch.from_numpy(seen)).argmax(1)
    assert agent.act(seen)[0].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"gradient_steps": 0}, "gradient_steps must be at least 1, or -1"),
        ({"gradient_steps": -2}, "gradient_steps must be at least 1, or -1"),
        ({"buffer_size": 10**13}, "transitions take .* of memory, and this machine has"),
        ({"encoder": partial(Recurrent, width=4)}, "DQN's encoder sees single observations"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        dqn(together(Counter, 2), **settings)


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(ConfigError, match="DQN needs discrete actions"):
        dqn(together(lambda: Identity(spaces.Box(-1, 1, (1,), np.float32)), 2))


def test_shifted_actions_are_refused() -> None:
    with pytest.raises(ConfigError, match="DQN counts actions from 0"):
        dqn(together(lambda: Identity(spaces.Discrete(3, start=1)), 2))
