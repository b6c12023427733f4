"""Operations as compiled programs compute them, where torch's compiler would take a slow way, or none.

They differ from torch's own by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

FLAT = 8.0
"""Beyond it the hyperbolic tangent, which differs from 1 by less than 3e-7 there, is taken for constant."""
NUMERATOR = (1.0, 0.13444499671459198, 0.003571599954739213, 2.1894695237278938e-05, 1.5230464001092514e-08)
DENOMINATOR = (1.0, 0.4677782654762268, 0.026164449751377106, 0.000341129518346861, 8.522465009264124e-07)
"""tanh(x) = x p(x^2) / q(x^2): coefficients of p and q, the constants first. They were fitted for the least relative
error on [-FLAT, FLAT], by least squares whose weights grow where the error is large."""

FEW_COLUMNS = 8


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent with a relative error of at most 4e-7, by a rational function."""
    if x.dtype != torch.float32:
        return NotImplemented  # type: ignore[no-any-return]
    x = x.clamp(-FLAT, FLAT)
    square = x * x
    return x * _polynomial(NUMERATOR, square) / _polynomial(DENOMINATOR, square)


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """Return a polynomial's values by Horner's scheme."""
    value = torch.full_like(x, coefficients[-1])
    for one in coefficients[-2::-1]:
        value = value * x + one
    return value


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return `a @ b`. Gradients of a layer with few inputs are such products: of a transposed matrix, with few columns.
    MKL takes a third of the time for the transposed product."""
    if b.shape[1] > FEW_COLUMNS or a.shape[0] <= FEW_COLUMNS or a.is_contiguous():
        return NotImplemented  # type: ignore[no-any-return]
    return (b.t() @ a.t()).t()


def layer(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return `bias + a @ b`. Torch would copy the bias to each row first; here what follows the product adds it."""
    if beta != 1 or alpha != 1:
        return NotImplemented  # type: ignore[no-any-return]
    return a @ b - (-bias)  # the compiler would put a sum together again


def norms(tensors: list[Tensor], order: float = 2, dtype: Any = None) -> list[Tensor]:
    """Return the Euclidean norm of each tensor."""
    if order != 2 or dtype is not None:
        raise NotImplementedError("only the Euclidean norm is compiled")
    return [x.square().sum().sqrt() for x in tensors]


def adam(
    weights: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    largest: list[Tensor],
    steps: list[Tensor],
    *,
    lr: Tensor | float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """Take a step of Adam (Kingma & Ba 2015, algorithm 1), as torch's fused kernel does."""
    if weight_decay or amsgrad or maximize or grad_scale is not None or found_inf is not None:
        raise NotImplementedError("only plain Adam is compiled")
    # Torch's compiler keeps a result that is used again where it takes an exponential. A power would be computed anew
    # for each few weights, which takes several times as long as the rest.
    counts = torch.stack(steps).double()
    first, second = (1 - (counts * math.log(beta)).exp() for beta in (beta1, beta2))
    sizes, scales = (lr / first).float(), second.rsqrt().float()
    for i, (w, g, m, v) in enumerate(zip(weights, gradients, means, squares, strict=True)):
        m.copy_(m + (g - m) * (1 - beta1))
        v.copy_(v * beta2 + g * g * (1 - beta2))
        w.copy_(w - sizes[i] * m / (v.sqrt() * scales[i] + eps))


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.tanh.default: tanh,
    aten.mm.default: product,
    aten.addmm.default: layer,
    aten._foreach_norm.Scalar: norms,
    aten._fused_adam_.default: adam,
    aten._fused_adam_.tensor_lr: adam,
}
