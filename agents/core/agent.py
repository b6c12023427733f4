"""The base class of all agents: what the lab adds to Stable-Baselines3's algorithms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from agents.acceleration.captured import Capture, Captured, Function
from agents.acceleration.descent import Descent
from agents.buffers.replay import Replay
from agents.compiled.packages import Packages, present
from agents.environments.vector import Environments, Steps
from agents.networks.extractor import RecurrentState
from agents.networks.normalization import RewardScale, RunningNorm
from lab.encoders.base import Encoder
from lab.encoders.trained_on import TrainedOn, carried
from lab.system.stopwatch import Stopwatch
from lab.training.optimization import Schedule

PARTS = {
    "environment": "stepping the environments",
    "inference": "the policy choosing actions",
    "learning": "gradient steps",
    "logging": "callbacks, journal and progress",
}
"""Parts of an agent's training loop."""

NORMALISED = "standardised by their running mean and variance"


class Agent(BaseAlgorithm):
    """The base of all agents, mixed into an algorithm of SB3. `learn`, `predict`, policies and callbacks are SB3's.

    The loops that collect and learn, and the checkpoints, are the lab's. `lab export` writes a file for SB3's `load`.
    """

    plain_state: ClassVar[tuple[str, ...]] = (
        *("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining"),
        *("_last_obs", "_last_episode_starts"),
    )
    """Attributes of plain values that change while the agent learns; a subclass adds its own."""
    reward_scale: RewardScale | None = None
    memory: RecurrentState = ()
    """The state of a recurrent policy, for each training environment."""

    def __init__(self, *args: Any, capture: Capture = "auto", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.capture = capture
        self.packages = present() if capture == "auto" and self.device.type == "cpu" else Packages()
        self.stopwatch = Stopwatch(PARTS)

    def make_descent(
        self, loss: Callable[..., Sequence[Tensor]], optimizer: torch.optim.Optimizer, max_norm: float
    ) -> Descent:
        """Return gradient descent on a loss of the policy's networks; see `Descent`."""
        return Descent(
            loss,
            self.policy,
            optimizer,
            max_norm=max_norm,
            device=self.device,
            capture=self.capture,
            packages=self.packages,
            place=lambda: f"the update after step {self.num_timesteps:,}",
        )

    def accelerate(
        self,
        function: Function,
        what: str = "choice of actions",
        changed: Callable[[], Sequence[Tensor]] = tuple,
        *,
        repeats: bool = True,
    ) -> Captured:
        """Return a function of the policy's networks, which may change other tensors, that is repeated without Python
        where that is possible: see `Captured`."""
        return Captured(function, self.policy, self.device, self.capture, changed, self.packages, what, repeats=repeats)

    def _excluded_save_params(self) -> list[str]:
        names = [name for name, value in vars(self).items() if isinstance(value, Captured | Descent | Packages)]
        return [*super()._excluded_save_params(), *names]

    @property
    def acting_policy(self) -> BasePolicy:
        """The policy that is evaluated, saved and shown."""
        return self.policy

    @property
    def encoder(self) -> Encoder:
        """The encoder inside the acting policy."""
        raise NotImplementedError

    @property
    def norm(self) -> RunningNorm | None:
        """The normaliser of the acting policy's observations; None if they are not normalised."""
        return _norm_of(self.acting_policy)

    @property
    def trained_on(self) -> TrainedOn:
        """What the encoder relies on: whether observations are normalised."""
        return TrainedOn(None if self.norm is None else NORMALISED)

    def carried(self) -> Sequence[str]:
        """Return what its user should know of an encoder that was trained before, one sentence each."""
        setting = "--agent.normalize_observations="
        return carried(self.encoder, self.trained_on, {NORMALISED: f"{setting}true", None: f"{setting}false"})

    @property
    def learning_norm(self) -> RunningNorm | None:
        """The normaliser of the learning policy's observations; None if they are not normalised."""
        return _norm_of(self.policy)

    @property
    def shortest_run(self) -> int:
        """Environment steps after which every part of the algorithm has been used."""
        raise NotImplementedError

    def hurry(self) -> None:
        """Shorten waits, such as random play before learning, for a fast-dev run."""

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """All optimizers, by name."""
        return {"policy": self.policy.optimizer}

    @property
    def learned_modules(self) -> dict[str, nn.Module]:
        """All modules whose weights or statistics change in training, by name."""
        return {"policy": self.policy}

    @property
    def vec_env(self) -> Environments:
        """The training environments."""
        assert isinstance(self.env, Environments)
        return self.env

    @property
    def replay(self) -> Replay | None:
        """The replay buffer of an off-policy agent."""
        return getattr(self, "replay_buffer", None)

    rows_added = 0
    """Rows added to the replay buffer since the run began, including those that were overwritten."""

    def begin_episodes(self) -> None:
        """End all episodes as a time limit would, and begin new ones that depend on this step alone."""
        self.vec_env.begin_at(self.num_timesteps)
        self._last_obs = self.vec_env.reset()  # type: ignore[assignment]
        self._last_episode_starts = np.ones(self.n_envs, dtype=bool)
        self._cut_off()

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        if reset_num_timesteps or self._last_obs is None:  # then SB3 resets the environments
            self._cut_off()
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)

    def _cut_off(self) -> None:
        """End all sums over an episode before a reset begins new episodes."""
        if self.replay is not None and self.replay.size():
            self.replay.cut_off()
        if self.reward_scale is not None:
            self.reward_scale.returns[:] = 0.0

    def allowed(self, actions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return actions within the bounds of their space, which a normal distribution does not know."""
        space = self.action_space
        return np.clip(actions, space.low, space.high) if isinstance(space, spaces.Box) else actions

    def told(self, callback: BaseCallback, steps: Steps) -> bool:
        """Pass a step to the callbacks, and finished episodes to SB3's records. Return False if training is to end."""
        episodes = self.vec_env.ended
        infos: list[dict[str, Any]] = [{}] * self.n_envs
        if episodes:
            infos = self.vec_env.infos(steps, episodes)
            self.ep_info_buffer.extend({"r": e.reward, "l": e.length} for e in episodes)  # type: ignore[union-attr]
            self._episode_num += len(episodes)
            episodes.clear()
        dones = self._last_episode_starts
        callback.update_locals({"self": self, "infos": infos, "rewards": steps.rewards, "dones": dones})
        return callback.on_step()

    def act(
        self, observations: Any, memory: RecurrentState | None = None
    ) -> tuple[np.ndarray[Any, Any], RecurrentState | None]:
        """Return deterministic actions `(B, ...)` for observations `(B, *shape)`, and what to remember.

        Args:
            memory: what the last call returned; None at the beginning of an episode, and for agents without memory.
        """
        raise NotImplementedError


def _norm_of(policy: nn.Module) -> RunningNorm | None:
    return next((module for module in policy.modules() if isinstance(module, RunningNorm)), None)


AgentFactory = Callable[[VecEnv, int, torch.device], Agent]
"""How a config gives an agent: a class with settings, called with environments, seed and device."""


def evaluating(policy: BasePolicy) -> None:
    """Put a policy into eval mode, unless it is. Setting the mode takes as long as a pass through a small network."""
    if policy.training:
        policy.set_training_mode(False)


def sb3_schedule(value: float, schedule: Schedule) -> Callable[[float], float]:
    """Return `value` under `schedule` as SB3 wants it: a function of the progress that remains, from 1 to 0."""
    return lambda remaining: value * schedule.factor(round(1e6 * (1 - remaining)), 1_000_000)
