"""Building an encoder, and holding it to its contract before anything relies on it."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.data.spec import Spec, shapes
from lab.encoders.base import Encoder, EncoderFactory
from lab.errors import ConfigError, LabError

OWED = {
    "spec": "its constructor must begin with super().__init__(spec)",
    "features_dim": "its constructor must set it to the width of the vectors that forward returns",
}
TORCH = str(Path(torch.__file__).parent)
"""A mistake in an encoder shows deep in there; the line to mend is the last one outside of it."""


def build_encoder(factory: EncoderFactory, spec: Spec) -> Encoder:
    """Build an encoder for `spec`. Raises ConfigError where it breaks the contract, as one example shows.

    The example goes through in eval mode and leaves nothing behind: no statistics, and no random numbers used up.
    """
    encoder = factory(spec)
    who = type(encoder).__name__
    for name, hint in OWED.items():
        if not hasattr(encoder, name):
            raise ConfigError(f"the encoder {who} has no {name}: {hint}")
    training = encoder.training
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        given = _example(spec)
        features = _encode(encoder.eval(), given)
    encoder.train(training)
    wanted = (1, encoder.features_dim)
    if not isinstance(features, Tensor) or features.dtype != torch.float32 or features.shape != wanted:
        raise ConfigError(
            f"the encoder {who} must return float32 of shape {wanted} for one example, as its features_dim says, "
            f"received {_told(features)}"
        )
    if not _equal(given, _example(spec)):
        raise ConfigError(f"the encoder {who} changes its input, which others still need: no in-place operation on it")
    return encoder


def _example(spec: Spec) -> Any:
    """Return a batch of one, from -1 to 1, so that hardly any operation in place leaves it as it was."""
    if isinstance(spec, dict):
        return {key: _example(part) for key, part in spec.items()}
    if spec.dtype == "int64":
        return torch.zeros(1, *spec.shape, dtype=torch.int64)
    return torch.linspace(-1, 1, spec.size).view(1, *spec.shape)


def _encode(encoder: Encoder, example: Any) -> Any:
    try:
        return encoder(example)
    except LabError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        here = [frame for frame in frames if not frame.filename.startswith(TORCH)][-1]
        raise ConfigError(
            f"the encoder {type(encoder).__name__} fails on one example of shape {shapes(encoder.spec)} "
            f"at line {here.lineno} of {here.filename}: {type(error).__name__}: {error}"
        ) from error


def _equal(a: Any, b: Any) -> bool:
    return all(_equal(a[key], b[key]) for key in b) if isinstance(b, dict) else torch.equal(a, b)


def _told(value: Any) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
