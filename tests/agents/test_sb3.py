"""What belongs to Stable-Baselines3 works with our agents as with its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnNoModelImprovement,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from agents.core.agent import Agent
from agents.environments.settings import EnvSettings, Plan
from agents.environments.vector import Environments
from lab.encoders import Recurrent
from tests.support.tasks import Counter, Identity, Recite, dqn, mean_return, ppo, together

SPACE = spaces.Discrete(3)


def identity() -> Identity:
    return Identity(SPACE)


def build(kind: str, env: Environments | None = None, **settings: Any) -> Agent:
    env = env or together(identity, 2)
    return ppo(env, gamma=0.5, **settings) if kind == "ppo" else dqn(env, gamma=0.5, **settings)


both = pytest.mark.parametrize("kind", ["ppo", "dqn"])


class Watch(BaseCallback):
    """Counts what it is told, and keeps what it can see."""

    def __init__(self, stop_at: int = 10**9) -> None:
        super().__init__()
        self.stop_at = stop_at
        self.events: list[str] = []
        self.steps: list[int] = []
        self.dones = self.episodes = 0
        self.rewards: list[float] = []

    def _on_training_start(self) -> None:
        self.events.append("training start")

    def _on_rollout_start(self) -> None:
        self.events.append("rollout start")

    def _on_rollout_end(self) -> None:
        self.events.append("rollout end")

    def _on_training_end(self) -> None:
        self.events.append("training end")

    def _on_step(self) -> bool:
        self.steps.append(self.num_timesteps)
        assert len(self.locals["infos"]) == len(self.locals["dones"]) == self.training_env.num_envs
        assert self.locals["self"] is self.model
        self.dones += int(np.sum(self.locals["dones"]))
        self.episodes += sum("episode" in info for info in self.locals["infos"])
        self.rewards += list(self.locals["rewards"])
        return self.num_timesteps < self.stop_at


@both
def test_callbacks_follow_sb3s_order(kind: str) -> None:
    watch = Watch()
    build(kind).learn(256, callback=watch)
    assert watch.events[0] == "training start"
    assert watch.events[-1] == "training end"
    rounds = watch.events[1:-1]
    assert rounds == ["rollout start", "rollout end"] * (len(rounds) // 2)
    assert len(rounds) // 2 == (4 if kind == "ppo" else 16)
    assert watch.steps == list(range(2, 257, 2))
    assert watch.dones == watch.episodes == 256 // 8
    assert set(watch.rewards) <= {0.0, 1.0}


@both
def test_a_callback_can_end_training(kind: str) -> None:
    agent = build(kind)
    agent.learn(1000, callback=Watch(stop_at=100))
    assert agent.num_timesteps == 100


@both
def test_training_goes_on_where_it_was(kind: str) -> None:
    agent, watch = build(kind), Watch()
    agent.learn(256)
    agent.learn(256, callback=watch, reset_num_timesteps=False)
    assert agent.num_timesteps == 512
    assert watch.steps[0] == 258


@both
def test_stop_after_episodes(kind: str) -> None:
    agent = build(kind)
    agent.learn(10_000, callback=StopTrainingOnMaxEpisodes(max_episodes=5))
    assert agent.num_timesteps == 5 * 8 * 2, "five episodes of eight steps for each of two environments"


@both
@pytest.mark.filterwarnings("ignore:Training and eval env are not of the same type")
def test_evaluation_finds_what_has_been_learned(kind: str, tmp_path: Path) -> None:
    """And ends training at a threshold, from inside an EvalCallback inside a list."""
    enough = StopTrainingOnRewardThreshold(reward_threshold=8)
    evaluation = EvalCallback(
        DummyVecEnv([lambda: Monitor(identity())]),
        callback_on_new_best=enough,
        callback_after_eval=StopTrainingOnNoModelImprovement(max_no_improvement_evals=100),
        eval_freq=200,
        n_eval_episodes=10,
        log_path=str(tmp_path),
        verbose=0,
    )
    agent = build(kind)
    agent.learn(10_000, callback=CallbackList([evaluation, Watch()]))
    assert evaluation.best_mean_reward == 8
    assert agent.num_timesteps < 10_000
    written = np.load(tmp_path / "evaluations.npz")
    assert written["results"].shape[1] == 10


def test_every_n_timesteps_and_plain_functions() -> None:
    watch = Watch()
    calls: list[int] = []
    build("ppo").learn(256, callback=EveryNTimesteps(n_steps=64, callback=watch))
    assert watch.steps == [64, 128, 192, 256]

    def plain(local: dict[str, Any], _: dict[str, Any]) -> bool:
        calls.append(len(local["infos"]))
        return True

    build("ppo").learn(64, callback=plain)
    assert calls == [2] * 32


@both
@pytest.mark.parametrize("plan", ["native", "async"])
def test_with_environments_of_every_kind(kind: str, plan: Any) -> None:
    env = EnvSettings("agents.environments.cartpole:CartPoleMasked-v1").make_vec(0, Plan(plan, "native", None))
    watch = Watch()
    build(kind, env).learn(256, callback=watch)
    assert watch.dones == watch.episodes > 0
    env.close()


@both
def test_predict_is_what_act_does(kind: str) -> None:
    agent = build(kind)
    agent.learn(200)
    seen = np.eye(3, dtype=np.float32)
    actions, memory = agent.predict(seen, deterministic=True)
    np.testing.assert_array_equal(actions, agent.act(seen)[0])
    assert memory is None
    single, _ = agent.predict(seen[0], deterministic=True)
    assert single == actions[0]
    torch.manual_seed(0)
    np.random.seed(0)
    free = np.concatenate([agent.predict(seen, deterministic=False)[0] for _ in range(100)])
    assert set(free) <= {0, 1, 2}


def test_predict_with_normalised_observations_and_boxes() -> None:
    box = spaces.Box(-1, 1, (2,), np.float32)
    agent = ppo(together(lambda: Identity(box), 2), normalize_observations=True, share_encoder=False)
    agent.learn(128)
    seen = np.random.default_rng(0).uniform(-1, 1, (20, 2)).astype(np.float32)
    np.testing.assert_allclose(agent.predict(seen, deterministic=True)[0], agent.act(seen)[0], atol=1e-6)


def test_predict_uses_evaluated_weights() -> None:
    agent = dqn(together(identity, 2), average=0.99)
    agent.learn(400)
    seen = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    ours, _ = agent.act(seen)
    np.testing.assert_array_equal(agent.predict(seen, deterministic=True)[0], ours)
    with torch.no_grad():
        last = agent.policy.q_net.values(torch.from_numpy(seen)).argmax(1).numpy()
    assert (last != ours).any(), "the last weights choose otherwise somewhere"
    assert agent.policy is not agent.acting_policy, "and those are what learns"


@pytest.mark.filterwarnings("ignore:Evaluation environment is not wrapped with a ``Monitor`` wrapper")
def test_predict_remembers() -> None:
    """SB3 hands the memory from call to call, and says where episodes begin."""
    agent = ppo(together(Recite, 2), encoder=partial(Recurrent, cell="lstm", width=16), learning_rate=0.05)
    agent.learn(256)
    random = np.random.default_rng(0)
    theirs: Any = None
    for t in range(20):
        if t % 7 == 0:
            ours = None
        seen = random.normal(size=(30, 1)).astype(np.float32)
        expected, ours = agent.act(seen, ours)
        starts = np.full(30, t % 7 == 0)
        actions, theirs = agent.predict(seen, theirs, starts, deterministic=True)
        np.testing.assert_array_equal(actions, expected)
        assert ours is not None
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    single, memory = agent.predict(np.ones(1, np.float32))
    assert single.shape == ()
    assert memory is not None
    assert memory[0].shape[0] == 1
    mean: Any = evaluate_policy(agent, DummyVecEnv([Recite]), n_eval_episodes=5)[0]
    assert 0 <= mean <= 1


@both
def test_saved_files_have_the_policy(kind: str, tmp_path: Path) -> None:
    """`set_parameters` takes them back. `load` does not: it would need SB3's constructor."""
    agent, other = build(kind), build(kind, seed=1)
    agent.learn(256, callback=CheckpointCallback(save_freq=128, save_path=str(tmp_path / "saved")))
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["rl_model_256_steps.zip"]
    agent.save(tmp_path / "last.zip")
    other.set_parameters(str(tmp_path / "last.zip"))
    for name, value in agent.policy.state_dict().items():
        assert torch.equal(other.policy.state_dict()[name], value)
    seen = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_array_equal(other.act(seen)[0], agent.act(seen)[0])


@both
def test_sb3s_evaluation_gives_our_figures(kind: str) -> None:
    agent = build(kind)
    agent.learn(2000)
    mean, spread = evaluate_policy(agent, Monitor(identity()), n_eval_episodes=10)
    assert (mean, spread) == (8, 0)
    assert mean_return(agent, identity) == 8


def test_the_records_of_episodes_are_sb3s() -> None:
    agent = ppo(together(Counter, 2), n_steps=16)
    agent.learn(160)
    assert agent.ep_info_buffer is not None
    assert [e["l"] for e in list(agent.ep_info_buffer)[:6]] == [3, 3, 5, 5, 3, 3]
    assert agent._episode_num == len(agent.ep_info_buffer) == 40
