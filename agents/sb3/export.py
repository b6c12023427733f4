"""A trained agent as a file that plain Stable-Baselines3 loads, without the lab."""

from __future__ import annotations

import copy
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from agents.core.agent import Agent
from agents.dqn.dqn import DQN
from agents.environments.settings import EnvSettings
from agents.networks.normalization import CLIP, EPSILON, RunningNorm
from agents.sb3.layers import PLAIN
from agents.sb3.plain import plain_agent, unseeded
from lab.errors import LabError, not_written
from lab.runs.summary import versions
from lab.system.files import write_atomic, write_json

TOLERANCE = 1e-5
CHECKED = 64  # random observations on which both agents must agree


def export_sb3(agent: Agent, settings: EnvSettings, path: Path) -> list[str]:
    """Write `path`, for `PPO.load` or `DQN.load`, and beside it a description as `.json`; return notes for the user.

    Raises ConfigError if plain SB3 cannot express the agent, and LabError if the copy does not act the same.
    """
    name, plain = plain_agent(agent)
    norm = agent.norm
    _require_same(agent, plain, norm)
    notes = [
        "optimizer, replay buffer and schedules are not part of it: further training begins with fresh ones, at the "
        "learning rate's highest value"
    ]
    if without := [words for words, there in beyond(agent).items() if there]:
        notes.append(f"{PLAIN} has no {' and no '.join(without)}: further training goes without")
    description = {
        "algorithm": name,
        "env": {"id": settings.id, "kwargs": settings.kwargs},
        "load": f"stable_baselines3.{name}.load({path.name!r}).predict(observation, deterministic=True)",
        "notes": notes,
        "versions": versions(),
    }
    if norm is not None:
        statistics = path.with_name(f"{path.stem}-vecnormalize.pkl")
        notes.append(
            f"the agent normalises observations: load {statistics.name} with VecNormalize.load, as the zoo does"
        )
    written = BytesIO()
    plain.save(written)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, written.getvalue())
        if norm is not None:
            mean, var = norm.running_mean.cpu().numpy(), norm.running_var.cpu().numpy()
            write_vecnormalize(statistics, agent.vec_env, mean, var, clip=CLIP, epsilon=EPSILON)
        write_json(path.with_suffix(".json"), description)
    except OSError as error:
        raise not_written(path, error) from error
    return notes


def beyond(agent: Agent) -> dict[str, bool]:
    """Return parts of training that plain SB3 does not have, and whether this agent uses them."""
    return {
        "double Q-learning": isinstance(agent, DQN) and agent.double,
        "prioritized replay": agent.replay is not None and agent.replay.priorities is not None,
        "reward scaling of its own": agent.reward_scale is not None,
    }


def _require_same(agent: Agent, plain: Any, norm: RunningNorm | None) -> None:
    """Compare both on random observations, because a subclass of an encoder may compute something else."""
    space = copy.deepcopy(agent.observation_space)
    space.seed(0)
    observations = np.stack([space.sample() for _ in range(CHECKED)])
    ours = _outputs(copy.deepcopy(agent.acting_policy).cpu(), observations)
    if norm is not None:
        observations = copy.deepcopy(norm).cpu()(torch.from_numpy(observations)).numpy()
    theirs = _outputs(plain.policy, observations)
    if not torch.allclose(ours, theirs, rtol=10 * TOLERANCE, atol=TOLERANCE):
        raise LabError(
            f"this agent cannot be exported: its copy in {PLAIN} differs by {float((ours - theirs).abs().max()):.3g}"
        )


@torch.no_grad()
def _outputs(policy: Any, observations: np.ndarray[Any, Any]) -> Tensor:
    """Return the outputs of a policy as one tensor: Q-values; or values, log-probabilities and entropies."""
    policy.set_training_mode(False)
    tensor, _ = policy.obs_to_tensor(observations)
    if isinstance(policy, DQNPolicy):
        return policy.q_net(tensor)  # type: ignore[no-any-return]
    space = copy.deepcopy(policy.action_space)
    space.seed(0)
    actions = torch.as_tensor(np.stack([space.sample() for _ in observations]))
    if isinstance(space, spaces.MultiBinary):
        actions = actions.float()  # torch's Bernoulli distribution takes no integers
    return torch.cat([part.flatten() for part in policy.evaluate_actions(tensor, actions)])


def write_vecnormalize(
    path: Path, env: VecEnv, mean: np.ndarray[Any, Any], var: np.ndarray[Any, Any], *, clip: float, epsilon: float
) -> None:
    """Write observation statistics as the `vecnormalize.pkl` that rl-baselines3-zoo keeps beside an agent; read with
    `VecNormalize.load(path, env)`.

    Args:
        env: with the spaces of the agent; nothing else of it is written.
        mean: of the observations, of their shape.
        var: their variance.
        clip: largest absolute value after normalisation.
        epsilon: added to the variance.
    """
    normalize = VecNormalize(env, training=False, norm_reward=False, clip_obs=clip, epsilon=epsilon)
    statistics: Any = RunningMeanStd(shape=mean.shape)
    statistics.mean, statistics.var = np.asarray(mean, np.float64), np.asarray(var, np.float64)
    normalize.obs_rms = statistics
    normalize.observation_space, normalize.action_space = unseeded(env.observation_space), unseeded(env.action_space)
    write_atomic(path, pickle.dumps(normalize))
