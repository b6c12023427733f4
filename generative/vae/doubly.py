"""Doubly reparametrised gradients of the importance weighted bound (Tucker et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from generative.vae.gaussians import log_mean_exp

# Dimensions: K importance samples, B images, Z latents.


class Paths:
    """How gradients reach a posterior from its samples and its density: here as they are."""

    def used(self, sample: Tensor) -> Tensor:
        """Return a sample `(K, B, Z)` of the posterior, for all that depends on it but further samples."""
        return sample

    def fixed(self, parameters: Tensor) -> Tensor:
        """Return what the density of the posterior is calculated with."""
        return parameters


class DoublyReparametrised(Paths):
    """Gradients of the posterior flow through its samples alone, each weighted once more by its importance.

    The plain gradient of its density has the same mean, and a variance that grows with K beside it (section 3).
    """

    def __init__(self) -> None:
        self.samples: list[Tensor] = []

    def used(self, sample: Tensor) -> Tensor:
        self.samples.append(sample.view_as(sample))  # a path of its own, on which gradients are weighted
        return self.samples[-1]

    def fixed(self, parameters: Tensor) -> Tensor:
        return parameters.detach()

    def bound(self, log_weights: Tensor) -> Tensor:
        """Return the importance weighted bound in nats, `(B,)`, for log-weights `(K, B)` of the samples used.

        Its gradient is that of equation 8: importance for the decoder, its square for the posterior.
        """
        importance = log_weights.detach().softmax(0)  # (K, B)
        if torch.is_grad_enabled():
            for sample in self.samples:
                sample.register_hook(lambda slope: slope * importance.unsqueeze(-1))  # type: ignore[no-untyped-call]
        slope = (importance * log_weights).sum(0)
        return log_mean_exp(log_weights).detach() + slope - slope.detach()


PLAIN = Paths()
