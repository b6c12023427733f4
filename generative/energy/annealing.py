"""Annealed importance sampling of a Boltzmann machine's partition function (Neal 2001; Salakhutdinov & Murray 2008)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from generative.energy.boltzmann import BoltzmannMachine, drawn

# Dimensions: N chains, D visible and H hidden units, K intermediate distributions.

PIECES = ((0.5, 500), (0.9, 4_000), (1.0, 10_000))
"""Where pieces of the schedule end, and distributions in each: the 14,500 of Salakhutdinov & Murray, section 5.1."""


@dataclass(frozen=True)
class Annealed:
    """What annealing gave.

    Args:
        log_weights: of the chains, `(N,)`, in nats and float64: their mean, not of the logarithms, estimates Z.
        chains: where they ended, `(N, D)`: samples of the machine, up to their weights.
    """

    log_weights: Tensor
    chains: Tensor

    @property
    def log_z(self) -> float:
        """Estimate of log Z in nats. It is too low more often than too high, by Jensen's inequality."""
        return (self.log_weights.logsumexp(0) - math.log(len(self.log_weights))).item()

    @property
    def error(self) -> float:
        """Standard error of the estimate of Z over the chains, as a share of it."""
        weights = (self.log_weights - self.log_weights.max()).exp()
        return (weights.std() / weights.mean() / math.sqrt(len(weights))).item()

    @property
    def spread(self) -> float:
        """Standard deviation of the log weights, in nats."""
        return self.log_weights.std().item()


@torch.no_grad()
def anneal(
    machine: BoltzmannMachine,
    base: Tensor,
    betas: Tensor,
    chains: int,
    told: Callable[[int], None] = lambda done: None,
) -> Annealed:
    """Move chains from independent units to the machine, by one Gibbs step under each distribution on the way.

    p_k(v) is proportional to exp((1 - beta_k) a v + beta_k b v) prod_j (1 + exp(beta_k (c_j + v W_j))) (equation 15,
    where the machine that is begun with has no weights).

    Args:
        machine: whose Z is estimated.
        base: a, the logits of independent units, `(D,)`: best those of the data's means.
        betas: rising from 0 to 1, `(K,)`.
        chains: their number, N, of which the standard error needs two.
        told: is called with the number of distributions that are done.
    """
    v = drawn(base.sigmoid().expand(chains, -1))
    # Z of the beginning is known. Under it each hidden unit is 0 or 1, both with a factor of 1.
    log_z = F.softplus(base.double()).sum() + len(machine.hidden_bias) * math.log(2)
    log_weights = log_z.repeat(chains)
    for done, (before, beta) in enumerate(pairwise(betas.tolist()), start=1):
        field = v @ machine.weight + machine.hidden_bias  # (N, H)
        grown = (F.softplus(beta * field) - F.softplus(before * field)).sum(1)
        log_weights += (beta - before) * (v @ (machine.visible_bias - base)) + grown
        h = drawn(torch.sigmoid(beta * field))
        v = drawn(torch.sigmoid((1 - beta) * base + beta * (h @ machine.weight.T + machine.visible_bias)))
        told(done)
    return Annealed(log_weights, v)


def schedule(distributions: int) -> Tensor:
    """Return betas from 0 to 1 for so many distributions on the way, spread as those of Salakhutdinov & Murray."""
    start, parts, total = 0.0, [], sum(count for _, count in PIECES)
    for end, count in PIECES:
        number = max(1, round(distributions * count / total))
        parts.append(torch.linspace(start, end, number + 1, dtype=torch.float64)[:-1])
        start = end
    return torch.cat([*parts, torch.ones(1, dtype=torch.float64)])
