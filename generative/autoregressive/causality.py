"""Whether an encoder's features at a step depend on later steps."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.encoders.base import Encoder
from lab.errors import ConfigError


def require_causal(encoder: Encoder, one: Tensor, other: Tensor, who: str) -> None:
    """Raise ConfigError where the encoder has no features at each step, or where they depend on later steps.

    Args:
        one: one example, `(1, T, ...)`.
        other: the same with another last step.
        who: needs such an encoder.
    """
    name = type(encoder).__name__
    training = encoder.training
    with torch.no_grad():
        encoder.eval()
        before, after = encoder.features(one), encoder.features(other)
        encoder.train(training)
    wanted = (*one.shape[:2], encoder.features_dim)
    if before.shape != wanted:
        raise ConfigError(
            f"{who} needs an encoder with features at each step, {wanted} for one sequence, but {name} has "
            f"{tuple(before.shape)}"
        )
    if not torch.equal(before[:, :-1], after[:, :-1]):
        raise ConfigError(
            f"{who} needs an encoder whose features depend on no later step, but those of {name} do; "
            "a Transformer needs causal: true"
        )
