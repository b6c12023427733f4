"""The optimizer Muon: matrices move along orthogonalised momentum, everything else by Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lab.config.types import NonNegativeFloat, PositiveFloat, PositiveInt, Probability

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration (Jordan et al. 2024): it takes singular values between 0 and 1 to about 0.7 to 1.2."""
TINY = 1e-7


class MuonAdam(Optimizer):
    """Muon (Jordan et al. 2024) for parameters with two axes or more, AdamW for biases and scales.

    An update of a matrix has about the size that AdamW's has (Liu et al. 2025, section 2.2), so that one learning rate
    serves both. Filters of a convolution are rows of a matrix. It pays where steps are few and large: each costs some
    products of matrices more.

    Args:
        lr: learning rate.
        momentum: weight of the old gradients, by Nesterov's rule.
        betas, eps: of AdamW.
        weight_decay: share of the weights that a step takes away, times the learning rate.
        iterations: of the orthogonalisation.
    """

    def __init__(
        self,
        params: Any,
        *,
        lr: PositiveFloat = 2e-3,
        momentum: Probability = 0.95,
        betas: tuple[Probability, Probability] = (0.9, 0.999),
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.0,
        iterations: PositiveInt = 5,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "betas": tuple(betas), "eps": eps}
        super().__init__(params, {**settings, "weight_decay": weight_decay, "iterations": iterations})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Make one step. A closure is called first, with gradients, and its value returned."""
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is not None:
                    weights.mul_(1 - group["lr"] * group["weight_decay"])
                    self._move(weights, group)
        return loss

    def _move(self, weights: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[weights], weights.grad
        assert gradient is not None
        if weights.ndim >= 2:
            if not state:
                state["momentum"] = torch.zeros_like(weights)
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            ahead = gradient.lerp(state["momentum"], group["momentum"]).flatten(1)
            size = 0.2 * max(ahead.shape) ** 0.5
            update = orthogonalised(ahead, group["iterations"]).view_as(weights)
            weights.add_(update, alpha=-group["lr"] * size)
            return
        if not state:
            state["step"], state["mean"], state["square"] = 0, torch.zeros_like(weights), torch.zeros_like(weights)
        first, second = group["betas"]
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        weights.addcdiv_(state["mean"], scale, value=-group["lr"] / (1 - first ** state["step"]))


def orthogonalised(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Return `(M, N)` of the same singular vectors whose singular values are near 1, by Newton and Schulz's iteration.

    It works in bfloat16 where the device has instructions for it, which is enough for a direction.
    """
    a, b, c = COEFFICIENTS
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix  # products of the shorter side cost less
    x = wide.to(_precision(matrix.device))
    x = x / x.norm().clamp(min=TINY)
    for _ in range(iterations):
        products = x @ x.T
        x = torch.addmm(x, torch.addmm(products, products, products, beta=b, alpha=c), x, beta=a)
    return (x.T if wide is not matrix else x).to(matrix.dtype)


def _precision(device: torch.device) -> torch.dtype:
    fast = device.type == "cuda" or (device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.bfloat16 if fast else torch.float32
