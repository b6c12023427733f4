"""PPO's gradients, updates and estimates are SB3's; its memory is the same while acting and while learning."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import stable_baselines3
import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor

from agents.buffers.advantages import advantages_and_returns
from agents.buffers.rollout import Rollout, Transitions
from agents.ppo.ppo import PPO
from agents.spaces.observations import tensors
from lab.encoders import MLP
from lab.encoders.networks.recurrent import Recurrent
from lab.errors import ConfigError
from tests.support.tasks import Counter, Identity, Recite, collect, collect_more, ppo, together, weights

SPACES: dict[str, tuple[spaces.Space[Any], bool]] = {
    "discrete": (spaces.Discrete(5), False),
    "multi-discrete": (spaces.MultiDiscrete([3, 2, 4]), False),
    "multi-binary": (spaces.MultiBinary(3), False),
    "box": (spaces.Box(-1, 1, (3,), np.float32), False),
    "gsde": (spaces.Box(-1, 1, (3,), np.float32), True),
}
every_space = pytest.mark.parametrize("name", SPACES)


def pair(name: str, **settings: Any) -> tuple[PPO, stable_baselines3.PPO]:
    """Our PPO and SB3's with the same networks, weights and settings."""
    space, gsde = SPACES[name]
    settings = {"n_steps": 16, "batch_size": 32, "learning_rate": 1e-3} | settings
    encoder = partial(MLP, hidden=[64, 64], activation="tanh")
    ours = ppo(together(lambda: Identity(space), 2), encoder=encoder, share_encoder=False, gsde=gsde, **settings)
    env = DummyVecEnv([lambda: Identity(space)] * 2)
    theirs = stable_baselines3.PPO("MlpPolicy", env, use_sde=gsde, device="cpu", **settings)
    theirs.set_logger(Logger(None, []))
    with torch.no_grad():
        for mine, other in same_parameters(ours, theirs):
            other.copy_(mine)
    return ours, theirs


def same_parameters(ours: PPO, theirs: stable_baselines3.PPO) -> list[tuple[Tensor, Tensor]]:
    """Parameters of both, each beside the one in the same place."""
    mine, other = ours.policy, theirs.policy
    modules = [
        (mine.pi_features_extractor.encoder, other.mlp_extractor.policy_net),
        (mine.vf_features_extractor.encoder, other.mlp_extractor.value_net),
        (mine.action_net, other.action_net),
        (mine.value_net, other.value_net),
    ]
    pairs: list[tuple[Tensor, Tensor]] = [
        both for a, b in modules for both in zip(a.parameters(), b.parameters(), strict=True)
    ]
    if hasattr(mine, "log_std"):
        pairs.append((mine.log_std, other.log_std))
    assert len(pairs) == len(list(other.parameters())) == len(list(mine.parameters()))
    return pairs


def fill(agent: PPO, seed: int = 0, spread: float = 0.3) -> Rollout:
    """Random transitions; ratios, values and returns spread so far that every clip acts on some of them."""
    random = torch.Generator().manual_seed(seed)
    rollout = agent.rollout_buffer
    lead = (rollout.n_steps, rollout.n_envs)
    width = agent.observation_space.shape or ()
    rollout.observations = torch.randn(*lead, *width, generator=random)
    with torch.no_grad():
        heads = agent.policy.heads(rollout.observations.flatten(0, 1))
        agent.policy.distribution.resample(len(heads.values))
        actions = agent.policy.distribution.sample(heads.outputs, heads.latent)
        log_probs = agent.policy.distribution.log_prob(heads.outputs, heads.latent, actions)
    rollout.actions = actions.view(*lead, *actions.shape[1:])
    rollout.log_probs = log_probs.view(lead) + spread * torch.randn(lead, generator=random)
    rollout.values = heads.values.view(lead) + torch.randn(lead, generator=random)
    rollout.advantages = torch.randn(lead, generator=random) + 0.5
    rollout.returns = rollout.values + rollout.advantages
    return rollout


def textbook_loss(theirs: stable_baselines3.PPO, batch: Transitions, *, normalize: bool) -> Tensor:
    """SB3's loss, as in `stable_baselines3.PPO.train`; the advantages of `batch` are as they were estimated."""
    actions = batch.actions.float() if isinstance(theirs.action_space, spaces.MultiBinary) else batch.actions
    values, log_probs, entropy = theirs.policy.evaluate_actions(batch.observations, actions)
    advantages = batch.advantages
    if normalize:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    ratio = (log_probs - batch.log_probs).exp()
    clip = theirs.clip_range(1.0)  # type: ignore[operator]
    policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
    predicted = values.flatten()
    if theirs.clip_range_vf is not None:
        bound = theirs.clip_range_vf(1.0)  # type: ignore[operator]
        predicted = batch.values + (predicted - batch.values).clamp(-bound, bound)
    assert entropy is not None
    return policy_loss - theirs.ent_coef * entropy.mean() + theirs.vf_coef * F.mse_loss(batch.returns, predicted)


# --- Gradients and updates


@every_space
@pytest.mark.parametrize("ent_coef", [0.0, 0.01])
@pytest.mark.parametrize("clip_range_vf", [None, 0.2])
@pytest.mark.parametrize("normalize", [True, False])
def test_gradients_equal_textbook(name: str, ent_coef: float, clip_range_vf: float | None, normalize: bool) -> None:
    ours, theirs = pair(name, ent_coef=ent_coef, clip_range_vf=clip_range_vf, max_grad_norm=1e9)
    fill(ours)
    (raw,) = ours.rollout_buffer.batches(32, normalize=False)
    (batch,) = ours.rollout_buffer.batches(32, normalize=normalize)
    loss = textbook_loss(theirs, raw, normalize=normalize)
    expected = torch.autograd.grad(loss, [other for _, other in same_parameters(ours, theirs)])
    ours.descent.renew()
    ours.descent.backward(batch, 0.2, clip_range_vf, False)
    found = dict(zip(map(id, ours.descent.parameters), ours.descent._gradients, strict=True))
    for (mine, _), gradient in zip(same_parameters(ours, theirs), expected, strict=True):
        torch.testing.assert_close(found[id(mine)], gradient, rtol=1e-4, atol=1e-6)


@every_space
@pytest.mark.parametrize("target_kl", [None, 0.003])
def test_updates_equal_sb3(name: str, target_kl: float | None) -> None:
    settings: dict[str, Any] = {
        "n_epochs": 8,
        "learning_rate": 3e-3,
        "ent_coef": 0.01,
        "target_kl": target_kl,
        "max_grad_norm": 0.5,
    }
    ours, theirs = pair(name, **settings)
    rollout, buffer = fill(ours, spread=0.05), theirs.rollout_buffer
    before = weights(ours.policy)
    for field in ("observations", "actions", "log_probs", "values", "advantages", "returns"):
        array = getattr(rollout, field).numpy()
        target = getattr(buffer, field)
        target[:] = array.reshape(target.shape)
    buffer.full, buffer.generator_ready = True, False
    ours.train()
    theirs.train()
    assert ours._n_updates == theirs._n_updates
    assert (ours._n_updates == 8) == (target_kl is None), "target_kl ends the update on the way"
    for mine, other in same_parameters(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
    assert (weights(ours.policy) - before).abs().max() > 1e-3


def test_target_kl_stops_early() -> None:
    agent = ppo(together(lambda: Identity(spaces.Discrete(5)), 2), target_kl=1e-9, batch_size=16, n_epochs=10)
    collect(agent)
    agent.train()
    assert (len(agent.descent.norms), agent._n_updates) == (1, 1), "the first step has the rollout's own policy"


def test_figures_closed_form() -> None:
    agent = ppo(together(lambda: Identity(spaces.Discrete(5)), 2), n_epochs=1, batch_size=64)
    rollout = fill(agent)
    (batch,) = rollout.batches(64, normalize=True)
    with torch.no_grad():
        heads = agent.policy.heads(batch.observations)
        ratio = (agent.policy.distribution.log_prob(heads.outputs, heads.latent, batch.actions) - batch.log_probs).exp()
    agent.train()
    logged = agent.logger.name_to_value
    assert logged["train/approx_kl"] == pytest.approx(float((ratio - 1 - ratio.log()).mean()), rel=1e-4)
    assert logged["train/clip_fraction"] == pytest.approx(float(((ratio - 1).abs() > 0.2).float().mean()))
    assert logged["train/value_loss"] == pytest.approx(float((heads.values - batch.returns).square().mean()), rel=1e-4)
    unexplained = (rollout.returns - rollout.values).var() / rollout.returns.var()
    assert logged["train/explained_variance"] == pytest.approx(1 - float(unexplained), rel=1e-4)


# --- Advantages


def random_rollout(steps: int = 20, envs: int = 3) -> tuple[Rollout, Tensor, np.ndarray]:
    random = np.random.default_rng(0)
    space = spaces.Box(-1, 1, (2,), np.float32)
    rollout = Rollout(steps, space, spaces.Discrete(2), gamma=0.9, gae_lambda=0.7, n_envs=envs)
    rollout.rewards[:] = random.normal(size=(steps, envs))
    rollout.values[:] = torch.from_numpy(random.normal(size=(steps, envs)))
    rollout.starts[:] = random.random((steps, envs)) < 0.2
    return rollout, torch.from_numpy(random.normal(size=envs)).float(), random.random(envs) < 0.5


def test_advantages_sum_later_errors() -> None:
    """Schulman et al. 2016, equation 16, with the sum cut where an episode ends."""
    rollout, last_values, last_starts = random_rollout()
    rollout.finish(last_values, last_starts)
    values = np.concatenate([rollout.values.numpy(), last_values.numpy()[None]])
    starts = np.concatenate([rollout.starts, last_starts[None]])
    for env in range(rollout.n_envs):
        for t in range(rollout.n_steps):
            expected, weight = 0.0, 1.0
            for later in range(t, rollout.n_steps):
                goes_on = 1 - starts[later + 1, env]
                error = rollout.rewards[later, env] + 0.9 * values[later + 1, env] * goes_on - values[later, env]
                expected += weight * error
                weight *= 0.9 * 0.7 * goes_on
            assert rollout.advantages[t, env].item() == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(rollout.returns, rollout.advantages + rollout.values)


def test_advantages_are_sb3s() -> None:
    rollout, last_values, last_starts = random_rollout()
    rollout.finish(last_values, last_starts)
    space = spaces.Box(-1, 1, (2,), np.float32)
    theirs = RolloutBuffer(20, space, spaces.Discrete(2), "cpu", gae_lambda=0.7, gamma=0.9, n_envs=3)
    theirs.rewards, theirs.values, theirs.episode_starts = rollout.rewards, rollout.values.numpy(), rollout.starts
    theirs.compute_returns_and_advantage(last_values, last_starts)
    np.testing.assert_allclose(rollout.advantages.numpy(), theirs.advantages, atol=1e-6)
    np.testing.assert_allclose(rollout.returns.numpy(), theirs.returns, atol=1e-6)


@pytest.mark.parametrize("gae_lambda", [0.0, 1.0])
def test_the_ends_of_lambda(gae_lambda: float) -> None:
    """0 is the one-step error, 1 the discounted return less the value."""
    rewards, values = np.array([[1.0], [2.0], [3.0]]), np.array([[0.5], [0.25], [0.125]])
    last, no = np.array([10.0]), np.zeros(1)
    advantages, returns = advantages_and_returns(
        rewards, values, np.zeros((3, 1)), last, no, gamma=0.5, gae_lambda=gae_lambda
    )
    if gae_lambda:
        assert returns[:, 0].tolist() == [1 + 1 + 0.75 + 1.25, 2 + 1.5 + 2.5, 3 + 5]
    else:
        assert advantages[:, 0].tolist() == [1 + 0.125 - 0.5, 2 + 0.0625 - 0.25, 3 + 5 - 0.125]


def test_only_time_limits_bootstrap() -> None:
    """Episodes of 3 steps terminate, those of 5 are cut off: two of each in 16 steps."""
    agent = ppo(together(Counter, 2), n_steps=16, gamma=0.9)
    _, callback = agent._setup_learn(64)
    plain = together(Counter, 2)
    plain.reset()
    collect_more(agent, callback)
    rollout = agent.rollout_buffer
    cut = 0
    for t in range(16):
        steps = plain.advance(rollout.actions[t].numpy())
        expected = steps.rewards.copy()
        if steps.truncated.any():
            cut += 1
            with torch.no_grad():
                values = agent.policy.values(torch.from_numpy(steps.last))
            expected = np.where(steps.truncated, expected + 0.9 * values.numpy(), expected)
        np.testing.assert_allclose(rollout.rewards[t], expected, atol=1e-6)
        if t < 15:
            assert rollout.starts[t + 1].tolist() == (steps.terminated | steps.truncated).tolist()
    assert cut == 2


@every_space
def test_rollouts_equal_sb3s_policy(name: str) -> None:
    ours, theirs = pair(name)
    collect(ours)
    rollout = ours.rollout_buffer
    assert rollout.starts[8].all(), "the time limit of 8 steps falls in the rollout"
    with torch.no_grad():
        for t in (0, 5, 15):
            actions = rollout.actions[t].float() if name == "multi-binary" else rollout.actions[t]
            values, log_probs, _ = theirs.policy.evaluate_actions(rollout.observations[t], actions)  # type: ignore[index]
            torch.testing.assert_close(rollout.values[t], values.flatten())
            torch.testing.assert_close(rollout.log_probs[t], log_probs, rtol=1e-4, atol=1e-5)


# --- Rollouts


@pytest.mark.parametrize("size", [4, 12, 24])
def test_passes_see_transitions_once(size: int) -> None:
    lead, space = (6, 4), spaces.Dict({"a": spaces.Box(0, 99, (1,), np.float32), "b": spaces.Discrete(99)})
    rollout = Rollout(6, space, spaces.Discrete(99), n_envs=4)
    number = torch.arange(24.0).view(lead)
    rollout.observations = observed = tensors(space, *lead)
    observed["a"][:], observed["b"][:] = number[..., None], number
    rollout.actions[:] = number
    rollout.log_probs, rollout.values, rollout.advantages, rollout.returns = number, number + 1, number + 2, number + 3
    batches = list(rollout.batches(size, normalize=False))
    assert [len(batch.actions) for batch in batches] == [size] * (24 // size)
    assert sorted(torch.cat([batch.actions for batch in batches]).tolist()) == list(range(24))
    if size < 24:
        assert torch.cat([batch.actions for batch in batches]).tolist() != list(range(24)), "in random order"
    for batch in batches:
        observations = batch.observations
        assert isinstance(observations, dict)
        for column in (observations["a"][:, 0], observations["b"], batch.log_probs, batch.values - 1):
            assert column.tolist() == batch.actions.tolist()
        assert (batch.advantages - 2).tolist() == (batch.returns - 3).tolist() == batch.actions.tolist()


def test_normalised_advantages() -> None:
    rollout, last_values, last_starts = random_rollout()
    rollout.finish(last_values, last_starts)
    for batch in rollout.batches(20, normalize=True):
        assert batch.advantages.mean().item() == pytest.approx(0, abs=1e-6)
        assert batch.advantages.std().item() == pytest.approx(1, abs=1e-6)


def test_rollouts_hold_copies() -> None:
    """The environments write into the same arrays again and again: what is kept must be a copy."""
    agent = ppo(together(Counter, 2), n_steps=16)
    collect(agent)
    observations = agent.rollout_buffer.observations
    assert isinstance(observations, Tensor)
    assert observations[:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_size": 7}, "divide a rollout of 32 x 2"),
        ({"n_steps": 10**12}, r"agent\.n_steps: 2,000,000,000,000 steps .* take .* of memory, and this machine has"),
        ({"gsde": True}, "gsde needs Box actions"),
        ({"sde_sample_freq": 0}, "sde_sample_freq must be at least 1, or -1"),
        ({"sde_sample_freq": -7}, "sde_sample_freq must be at least 1, or -1"),
        ({"encoder": partial(Recurrent, width=8), "batch_size": 16}, "must be a multiple of agent.n_steps"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ppo(together(Counter, 2), **settings)


# --- Memory


recurrent = pytest.mark.parametrize(("cell", "share"), [("lstm", True), ("lstm", False), ("gru", True), ("gru", False)])


def remembering(cell: Any, share: bool, envs: int = 4, **settings: Any) -> PPO:
    encoder: Any = partial(Recurrent, cell=cell, width=8)
    settings = {"n_steps": 16, "batch_size": 32, "gamma": 0.9} | settings
    return ppo(together(Counter, envs), encoder=encoder, share_encoder=share, **settings)


@recurrent
def test_sequences_give_what_stepping_gave(cell: str, share: bool) -> None:
    """So the ratio is 1 before the first update, in the first rollout and in one that begins amid episodes."""
    agent = remembering(cell, share, n_steps=14, batch_size=28)
    _, callback = agent._setup_learn(1000)
    for _ in range(3):
        collect_more(agent, callback)
        seen = 0
        for batch in agent.rollout_buffer.sequences(28, normalize=True):
            assert batch.starts is not None
            heads = agent.policy.heads_of_sequences(batch.observations, batch.memory, batch.starts)
            log_probs = agent.policy.distribution.log_prob(heads.outputs, heads.latent, batch.actions)
            torch.testing.assert_close(log_probs, batch.log_probs, atol=1e-5, rtol=0)
            torch.testing.assert_close(heads.values, batch.values, atol=1e-5, rtol=0)
            seen += len(batch.actions)
        assert seen == 14 * 4
    assert not agent.rollout_buffer.starts[0].any()


@recurrent
def test_memory_ends_with_the_episode(cell: str, share: bool) -> None:
    agent = remembering(cell, share)
    collect(agent)
    policy, seen = agent.policy, torch.randn(4, 4)
    old = agent.memory
    assert all(part.abs().min() > 0 for part in old)
    fresh = policy.initial_memory(4)
    some = torch.tensor([1.0, 0.0, 1.0, 0.0])
    mixed = policy.heads(seen, old, some)
    for rows, memory in ((some == 1, fresh), (some == 0, old)):
        expected = policy.heads(seen, memory, torch.zeros(4))
        torch.testing.assert_close(mixed.outputs[rows], expected.outputs[rows])
        torch.testing.assert_close(mixed.values[rows], expected.values[rows])
    assert not torch.allclose(mixed.values, policy.heads(seen, old, torch.zeros(4)).values)


@recurrent
def test_bootstrap_values_remember(cell: str, share: bool) -> None:
    agent = remembering(cell, share, envs=1, batch_size=16)
    plain = together(Counter, 1)
    seen = [np.copy(plain.reset())]  # type: ignore[arg-type]
    _, callback = agent._setup_learn(1000)
    collect_more(agent, callback)
    rollout, policy = agent.rollout_buffer, agent.policy
    first = 0
    for t in range(16):
        steps = plain.advance(rollout.actions[t].numpy())
        expected = steps.rewards.copy()
        if steps.truncated[0]:
            memory = policy.initial_memory(1)
            with torch.no_grad():
                for observation in [*seen[first:], steps.last]:
                    heads = policy.heads(torch.from_numpy(observation), memory, torch.zeros(1))
                    memory = heads.memory
            expected = expected + 0.9 * heads.values.numpy()
        np.testing.assert_allclose(rollout.rewards[t], expected, atol=1e-5)
        seen.append(steps.observations.copy())
        if steps.last is not None:
            first = t + 1


def test_acting_carries_its_memory_along() -> None:
    """What `act` decides after some steps is what the policy decides that sees them as a sequence."""
    agent = remembering("gru", True)
    seen = torch.randn(6, 3, 4)
    memory = None
    for observation in seen:
        actions, memory = agent.act(observation.numpy(), memory)
    heads = agent.policy.heads_of_sequences(seen, agent.policy.initial_memory(3), torch.zeros(6, 3))
    expected = agent.policy.distribution.mode(heads.outputs)[-3:]
    assert actions.tolist() == expected.tolist()


def test_sequences_see_every_environment_once() -> None:
    agent = ppo(together(Recite, 6), encoder=partial(Recurrent, width=8), n_steps=8, batch_size=16)
    rollout = agent.rollout_buffer
    rollout.memory = agent.policy.initial_memory(6)
    number = torch.arange(48.0).view(8, 6)
    rollout.values, rollout.advantages = number, number
    rollout.observations = number[..., None]
    rollout.memory = tuple(torch.arange(6.0).view(6, 1, 1).expand_as(part) for part in rollout.memory)
    batches = list(rollout.sequences(16, normalize=False))
    assert len(batches) == 3
    assert sorted(torch.cat([batch.values for batch in batches]).tolist()) == list(range(48))
    for batch in batches:
        assert isinstance(batch.observations, Tensor)
        assert batch.observations.shape == (8, 2, 1)
        assert batch.observations.flatten().tolist() == batch.values.tolist()
        for part in batch.memory:
            assert part[:, 0, 0].tolist() == batch.observations[0, :, 0].tolist(), "each sequence with its own memory"


@pytest.mark.parametrize("hidden", [[], [8]])
def test_gsde_keeps_features(hidden: list[int]) -> None:
    """Those of a linear policy are the observations themselves, which the environments write in one place."""
    space = spaces.Box(-1, 1, (2,), np.float32)
    agent = ppo(together(lambda: Identity(space), 2), gsde=True, encoder=partial(MLP, hidden=hidden))
    collect(agent)
    rollout, policy = agent.rollout_buffer, agent.policy
    with torch.no_grad():
        heads = policy.heads(rollout.observations.flatten(0, 1))  # type: ignore[union-attr]
        expected = policy.distribution.log_prob(heads.outputs, heads.latent, rollout.actions.flatten(0, 1))
    torch.testing.assert_close(rollout.log_probs.flatten(), expected)
