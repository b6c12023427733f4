"""Adam for small networks and many steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.acceleration.eager_adam import EagerAdam
from lab.errors import DivergedError


class Columns(NamedTuple):
    """Parameters, their averages, those of their squares, and their numbers of steps."""

    parameters: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]


class LeanAdam(EagerAdam):
    """torch's Adam (Kingma & Ba 2015) with one more way to take a step.

    `step` looks after hooks, profilers and graph captures, which takes several times as long as the arithmetic where
    a network is as small as an agent's. State and files are those of torch's.
    """

    columns: Columns | None = None
    """Where everything lies: to look that up takes a fifth as long as the step."""

    @property
    def trained(self) -> list[Tensor]:
        """The parameters."""
        return [p for p in self.param_groups[0]["params"] if p.requires_grad]

    def gradient(self, ends: Sequence[Tensor], derivatives: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the norm of the gradient, and its part for each parameter, from the derivatives of a loss by `ends`.

        Reads the weights and changes nothing, so that it can be captured.
        """
        parameters = self.trained
        gradients = torch.autograd.grad(ends, parameters, derivatives, materialize_grads=True)
        with torch.no_grad():
            laid_out = [laid_out_as(p, g) for p, g in zip(parameters, gradients, strict=True)]
            for i, one in enumerate(laid_out):  # autograd gives the parts of a sum the same tensor, to be clipped twice
                if any(one is other for other in laid_out[:i]):
                    laid_out[i] = one.clone()
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in laid_out]))
        return norm, *laid_out

    def descend(self, norm: Tensor, gradients: list[Tensor], max_norm: float, where: Callable[[], str]) -> None:
        """Take a step along `gradients`, which have this `norm`, clipped to `max_norm`.

        Raises DivergedError where the norm is not finite; on a GPU the caller has to look at it. `where` tells the
        place for that.
        """
        with torch.no_grad():
            if norm.device.type == "cpu":
                self._clip_at_once(gradients, norm.item(), max_norm, where)
            else:  # without a look at the norm, which would be a wait
                torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp_(max=1.0))
            self._apply(gradients)

    def _clip_at_once(self, gradients: list[Tensor], norm: float, max_norm: float, where: Callable[[], str]) -> None:
        if not math.isfinite(norm):
            raise DivergedError(f"the norm of the gradient became {norm} in {where()}, before the weights were changed")
        if norm > max_norm:
            torch._foreach_mul_(gradients, max_norm / (norm + 1e-6))

    def _apply(self, gradients: list[Tensor]) -> None:
        if self.columns is None and any(p not in self.state for p in self.trained):  # torch's own makes the state
            for parameter, gradient in zip(self.trained, gradients, strict=True):
                parameter.grad = gradient
            self.step()
            self.zero_grad()
            return
        self.columns = self.columns or self._columns()
        parameters, means, squares, steps = self.columns
        group = self.param_groups[0]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    def renew(self) -> None:
        """Look up anew where everything lies: other parameters may be trained from now on."""
        self.columns = None

    def _columns(self) -> Columns:
        states = [self.state[p] for p in self.trained]
        return Columns(self.trained, *([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")))

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict(state_dict)
        self.renew()  # the state is in other tensors now


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient in the parameter's own memory layout: torch's fused Adam pairs numbers by their place in
    memory, and a convolution's gradient may have its channels last."""
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)
