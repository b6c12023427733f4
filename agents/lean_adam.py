"""Adam for small networks and many steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from lab.errors import DivergedError


class LeanAdam(torch.optim.Adam):
    """torch's Adam (Kingma & Ba 2015) with one more way to take a step.

    `step` looks after hooks, profilers and graph captures, which takes several times as long as the arithmetic where
    a network is as small as an agent's. State and files are those of torch's.
    """

    def descend(self, ends: Sequence[Tensor], derivatives: Sequence[Tensor], max_norm: float, where: str) -> Tensor:
        """Take a step from the derivatives of a loss by `ends`, clipped to `max_norm`; return the norm before that.

        Raises DivergedError where the gradient is not finite; on a GPU the caller has to look at the norm.
        `where` names the place for that.
        """
        group = self.param_groups[0]
        parameters = [p for p in group["params"] if p.requires_grad]
        gradients = torch.autograd.grad(ends, parameters, derivatives, materialize_grads=True)
        with torch.no_grad():
            gradients = tuple(laid_out_as(p, g) for p, g in zip(parameters, gradients, strict=True))
            norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            if norm.device.type == "cpu":
                self._clip_at_once(gradients, norm.item(), max_norm, where)
            else:  # without a look at the norm, which would be a wait
                torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp_(max=1.0))
            self._apply(group, parameters, gradients)
        return norm

    def _clip_at_once(self, gradients: tuple[Tensor, ...], norm: float, max_norm: float, where: str) -> None:
        if not math.isfinite(norm):
            raise DivergedError(f"the norm of the gradient became {norm} in {where}, before the weights were changed")
        if norm > max_norm:
            torch._foreach_mul_(gradients, max_norm / (norm + 1e-6))

    def _apply(self, group: dict[str, Any], parameters: list[Tensor], gradients: Sequence[Tensor]) -> None:
        if not self.state:  # the first step: torch's own one makes the state
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            self.step()
            self.zero_grad()
            return
        states = [self.state[p] for p in parameters]
        adam(
            parameters,
            list(gradients),
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            has_complex=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient in the parameter's own memory layout: torch's fused Adam pairs numbers by their place in
    memory, and a convolution's gradient may have its channels last."""
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)
