"""PPO and DQN of rejax on CartPole of gymnax, wholly in JAX, with the zoo's settings. Both are in the extra `bench`.

rejax has no schedules: its learning rate and clip range stay what the zoo's begin with, and it clips each number of a
gradient, not the norm. Its DQN steps as many copies as the zoo's environment makes steps between two rounds of updates.
"""

from __future__ import annotations

import tempfile
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from rejax import DQN, PPO
from rejax.evaluate import evaluate
from rejax.networks import DiscreteQNetwork, EpsilonGreedyPolicy

EPISODES = 100  # of an evaluation

PPO_SETTINGS: dict[str, Any] = {
    "num_envs": 8, "num_steps": 32, "num_minibatches": 1, "num_epochs": 20, "gae_lambda": 0.8, "gamma": 0.98,
    "learning_rate": 1e-3, "clip_eps": 0.2, "ent_coef": 0.0, "vf_coef": 0.5, "max_grad_norm": 0.5,
    "agent_kwargs": {"activation": "tanh"},
}  # fmt: skip
DQN_SETTINGS: dict[str, Any] = {
    "num_envs": 256, "num_epochs": 128, "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_096,
    "fill_buffer": 1000, "target_update_freq": 10, "polyak": 0.0, "gamma": 0.99, "max_grad_norm": 10.0, "ddqn": False,
    "exploration_fraction": 0.16, "eps_end": 0.04,
}  # fmt: skip
"""The buffer holds whole rounds of 256 steps."""


class Whole:
    """A training that is one program.

    Args:
        algorithm: `PPO` or `DQN` of rejax.
        settings: of it.
        seed: of the training.
        judged: whether the final policy plays 100 episodes.
    """

    def __init__(self, algorithm: Any, settings: dict[str, Any], seed: int, *, judged: bool = False) -> None:
        self.algorithm, self.settings, self.seed, self.judged = algorithm, settings, seed, judged

    def compile_for(self, steps: int) -> None:
        """Compile the training of so many steps."""
        algo = self.algorithm.create(
            env="CartPole-v1", total_timesteps=steps, eval_freq=steps, skip_initial_evaluation=True, **self.settings
        )
        if self.algorithm is DQN:  # it takes no other layers than 64-64
            wide = EpsilonGreedyPolicy(DiscreteQNetwork)(
                hidden_layer_sizes=(256, 256), action_dim=2, activation=nn.relu
            )
            algo = algo.replace(agent=wide)
        algo = algo.replace(eval_callback=play if self.judged else lambda algo, state, key: ())
        self.program = jax.jit(algo.train).lower(jax.random.PRNGKey(self.seed)).compile()

    def learn(self, steps: int) -> float:
        """Train for the steps that it was compiled for; return the mean return of the final policy, 0 if not judged."""
        self.state, found = jax.block_until_ready(self.program(jax.random.PRNGKey(self.seed)))
        return float(found[1].mean()) if self.judged else 0.0


def play(algo: Any, state: Any, key: Any) -> Any:
    """Return the lengths and returns of 100 episodes; rejax's own evaluation plays 128."""
    longest = algo.env_params.max_steps_in_episode
    return evaluate(algo.make_act(state), key, algo.env, algo.env_params, EPISODES, longest)


def rejax_ppo(seed: int, *, judged: bool = False) -> Whole:
    return Whole(PPO, PPO_SETTINGS, seed, judged=judged)


def rejax_dqn(seed: int) -> Whole:
    return Whole(DQN, DQN_SETTINGS, seed)


def whole_run(steps: int, seed: int) -> float:
    """Compile, train, evaluate and save; return the mean return of 100 episodes."""
    run = rejax_ppo(seed, judged=True)
    run.compile_for(steps)
    found = run.learn(steps)
    with tempfile.TemporaryFile() as file:
        np.savez(file, *jax.tree.leaves(run.state.actor_ts.params))
    return found
