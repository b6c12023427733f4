"""What is added to the reconstruction error of an autoencoder, so that its code is more than a short copy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Dimensions: B images, Z numbers of a code.


def estimated_jacobian(encode: Callable[[Tensor], Tensor], x: Tensor, probes: int = 1) -> Tensor:
    """Unbiased estimate of the squared Frobenius norm of the Jacobian of any encoder, `(B,)`, that gradients pass
    (Hutchinson 1990).

    The mean of |u^T J|^2 over random signs u is the trace of J J^T. Each probe u costs a pass through the encoder and
    back.

    Args:
        encode: from `(B, ...)` to `(B, Z)`, each image for itself.
        x: the images.
        probes: random vectors for each image.
    """
    code, backward = _vjp(encode, x)
    found = [backward(torch.randint_like(code, 2) * 2 - 1).flatten(1).square().sum(1) for _ in range(probes)]
    return torch.stack(found).mean(0)


def exact_jacobian(encode: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Squared Frobenius norm of the Jacobian of any encoder, `(B,)`: as many passes back as there are units."""
    code, backward = _vjp(encode, x)
    total = torch.zeros(len(x), device=x.device)
    for unit in range(code.shape[1]):
        one = torch.zeros_like(code)
        one[:, unit] = 1
        total += backward(one).flatten(1).square().sum(1)
    return total


def _vjp(encode: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the codes of `x`, and what gives u^T J `(B, ...)` for vectors u `(B, Z)`."""
    code, backward, *_ = torch.func.vjp(encode, x)
    return code, lambda u: backward(u)[0]
