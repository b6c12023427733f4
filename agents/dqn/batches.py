"""Batches for DQN: drawn from the replay buffer, with the target network's values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.acceleration.captured import Captured
from agents.buffers.replay import Replay
from agents.dqn.losses import q_targets
from agents.spaces.observations import Tensors

AT_ONCE = 1024
"""Transitions that are drawn, and sent through the target network, together: it does not change in a round."""


class Following(NamedTuple):
    """What followed some transitions.

    Args:
        observations: `(B, *shape)`, after them.
        values: `(B, A)`, the target network's values of these.
        rewards: `(B,)`, summed and discounted over n steps.
        discounts: `(B,)`, gamma to the number of steps summed; 0 where the episode terminated.
    """

    observations: Tensors
    values: Tensor
    rewards: Tensor
    discounts: Tensor


class Minibatch(NamedTuple):
    """Transitions `(B, ...)` to learn from.

    Args:
        targets: `(B,)`; None in double Q-learning, where they depend on the network that learns.
        following: what they are made of then.
        weights: `(B,)`, importance weights of prioritized replay; None where all are 1.
    """

    observations: Tensors
    actions: Tensor
    targets: Tensor | None
    following: Following | None
    weights: Tensor | None


def minibatches(
    replay: Replay,
    next_values: Captured,
    count: int,
    size: int,
    *,
    beta: float,
    reward_factor: float | None,
    double: bool,
) -> Iterator[Minibatch]:
    """Yield `count` batches of `size` transitions.

    Args:
        replay: the buffer.
        next_values: of observations, by the target network, which does not change in the meantime.
        count: of batches.
        size: of each batch.
        beta: how far importance weights make up for priorities, from 0 to 1.
        reward_factor: rewards are multiplied by this and clipped to [-10, 10]; None for the rewards as they are.
        double: leave the targets to double Q-learning.
    """
    next_values.renew()
    at_once = 1 if replay.priorities else max(1, AT_ONCE // size)  # priorities: a batch depends on the one before it
    for done in range(0, count, at_once):
        drawn = replay.sample(min(at_once, count - done) * size, beta)
        rewards = drawn.rewards if reward_factor is None else (drawn.rewards * reward_factor).clamp(-10, 10)
        with torch.no_grad():
            values = next_values(drawn.next_observations)[0].clone()
            targets = None if double else q_targets(None, values, rewards, drawn.discounts)
        following = Following(drawn.next_observations, values, rewards, drawn.discounts) if double else None
        everything = Minibatch(drawn.observations, drawn.actions, targets, following, drawn.weights)
        yield from split(everything, size, len(rewards) // size)


def split(batch: Any, size: int, count: int) -> Sequence[Any]:
    """Return `count` batches of `size` rows of all tensors in a batch."""
    if batch is None:
        return [None] * count
    if isinstance(batch, Tensor):
        return torch.split(batch, size)
    parts = batch.values() if isinstance(batch, dict) else batch
    rows = zip(*(split(part, size, count) for part in parts), strict=True)
    return [dict(zip(batch, row, strict=True)) if isinstance(batch, dict) else type(batch)(*row) for row in rows]
