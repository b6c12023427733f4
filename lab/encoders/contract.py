"""Builds an encoder and checks that it keeps its contract, before anything relies on it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.data.spec import InputSpec, Spec, shapes
from lab.encoders.base import Encoder, EncoderFactory, RecurrentEncoder
from lab.errors import ConfigError, LabError

OWED = {
    "spec": "its constructor must begin with super().__init__(spec)",
    "features_dim": "its constructor must set it to the width of the vectors that forward returns",
}
TORCH = str(Path(torch.__file__).parent)
"""Errors of an encoder arise in there; the line to mend is the last one outside of it."""

TOLERANCE = 1e-5
"""Largest difference that padding may make to a vector."""


def build_encoder(factory: EncoderFactory, spec: Spec) -> Encoder:
    """Build an encoder for `spec`; encoders inside encoders are built by this too.

    One example is encoded to see that the encoder keeps its contract. Where it takes masks, a shorter sequence is
    encoded as well, once as it is and once padded with a mask. Where it is recurrent and built for one step, two steps
    are taken by `step` and by `unroll`. This happens in eval mode, changes no statistics and uses up no random numbers.
    Raises ConfigError for a broken contract.
    """
    encoder = factory(spec)
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"an encoder must be a lab.encoders.Encoder, received a {type(encoder).__name__}")
    for name, hint in OWED.items():
        if not hasattr(encoder, name):
            raise ConfigError(f"the encoder {type(encoder).__name__} has no {name}: {hint}")
    if hasattr(encoder, "unroll") and not isinstance(encoder, RecurrentEncoder):
        raise ConfigError(
            f"the encoder {type(encoder).__name__} has `unroll`, so it must be a lab.encoders.RecurrentEncoder"
        )
    training = encoder.training
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        encoder.eval()
        _check_vector(encoder, spec)
        if encoder.takes_masks and _timed(spec):
            _check_mask(encoder, spec)
        if isinstance(encoder, RecurrentEncoder) and not _timed(spec):
            _check_steps(encoder, spec)
    encoder.train(training)
    return encoder


def built_anew(encoder: Encoder) -> Encoder:
    """Return an encoder of the same class and settings with new random weights, on the CPU; those inside it are built
    anew too."""
    built: Encoder = _as_factory(encoder)(encoder.spec)
    return built


def _as_factory(value: Any) -> Any:
    """Return a setting in which what builds an encoder stands for the encoder."""
    if isinstance(value, Encoder):
        return partial(type(value), **{name: _as_factory(one) for name, one in value.settings.items()})
    return {key: _as_factory(one) for key, one in value.items()} if isinstance(value, dict) else value


def _check_vector(encoder: Encoder, spec: Spec) -> None:
    who, given = type(encoder).__name__, _example(spec)
    features, wanted = _encode(encoder, given), (1, encoder.features_dim)
    if not isinstance(features, Tensor) or features.dtype != torch.float32 or features.shape != wanted:
        raise ConfigError(
            f"the encoder {who} must return float32 of shape {wanted} for one example, as its features_dim says, "
            f"received {_told(features)}"
        )
    if not _equal(given, _example(spec)):
        raise ConfigError(f"the encoder {who} changes its input, which others still need: no in-place operation on it")


def _check_mask(encoder: Encoder, spec: Spec) -> None:
    whole = _example(spec)
    short: Any
    mask: Any
    if isinstance(spec, dict):
        cut = {key: _shorter(whole[key], part) for key, part in spec.items()}
        short = {key: parts[0] for key, parts in cut.items()}
        mask = {key: parts[1] for key, parts in cut.items() if parts[1] is not None}
    else:
        short, mask = _shorter(whole, spec)
    expected, padded = _encode(encoder, short), _encode(encoder, whole, mask)
    if not torch.allclose(expected, padded, rtol=TOLERANCE, atol=TOLERANCE):
        gap = float((expected - padded).abs().max())
        raise ConfigError(
            f"the encoder {type(encoder).__name__} must leave out the steps where its mask is false: a padded sequence "
            f"with its mask and the same sequence without padding differ by {gap:.2g}"
        )


def _check_steps(encoder: RecurrentEncoder, spec: Spec) -> None:
    who, x = type(encoder).__name__, _example(spec)
    begin, go_on = torch.ones(1), torch.zeros(1)
    twice: Any
    twice = {key: torch.stack([part] * 2) for key, part in x.items()} if isinstance(x, dict) else torch.stack([x] * 2)

    def one_by_one() -> Any:
        first, state = encoder.step(x, encoder.initial_state(1), begin)
        second, state = encoder.step(x, state, go_on)
        return torch.stack([first, second]), *state

    def at_once() -> Any:
        features, state = encoder.unroll(twice, encoder.initial_state(1), torch.stack([begin, go_on]))
        return features, *state

    steps, unrolled = _tried(encoder, one_by_one, "two steps"), _tried(encoder, at_once, "two steps unrolled")
    wanted = (2, 1, encoder.features_dim)
    for what, found in (("step", steps[0]), ("unroll", unrolled[0])):
        if not isinstance(found, Tensor) or found.dtype != torch.float32 or found.shape != wanted:
            raise ConfigError(
                f"the encoder {who} must return float32 features from `{what}`, of shape {wanted} for two steps of one "
                f"example, received {_told(found)}"
            )
    if len(steps) != len(unrolled) or not all(
        torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE) for a, b in zip(steps, unrolled, strict=True)
    ):
        raise ConfigError(f"the encoder {who} must return from `unroll` what `step` returns one by one; they differ")


def _timed(spec: Spec) -> bool:
    """Whether any input has a time axis of two steps or more."""
    parts = spec.values() if isinstance(spec, dict) else [spec]
    return any((part.time or 0) > 1 for part in parts)


def _shorter(example: Tensor, spec: InputSpec) -> tuple[Tensor, Tensor | None]:
    """Return the first half of a sequence, and the mask that leaves out the rest; what has no time axis as it is."""
    if not spec.time:
        return example, None
    length = max(1, spec.time // 2)
    return example[:, :length], (torch.arange(spec.time) < length)[None]


def _example(spec: Spec) -> Any:
    """Return a batch of one, from -1 to 1, so that hardly any operation in place leaves it as it was."""
    if isinstance(spec, dict):
        return {key: _example(part) for key, part in spec.items()}
    if spec.dtype == "int64":
        return (torch.arange(spec.size) % (spec.vocab or 1)).view(1, *spec.shape)
    if spec.sample_rate:
        # As loud at all frequencies: logarithms of what is nearly silent would amplify how a CPU rounds a spectrum.
        steps = torch.arange(spec.size, dtype=torch.float64)
        return (steps.square() * 0.618034 % 1 * 2 - 1).float().view(1, *spec.shape)
    return torch.linspace(-1, 1, spec.size).view(1, *spec.shape)


def _encode(encoder: Encoder, example: Any, mask: Any = None) -> Any:
    def encode() -> Any:
        return encoder(example) if mask is None else encoder(example, mask)

    what = f"one example of shape {shapes(encoder.spec)}{' with a mask' if mask is not None else ''}"
    return _tried(encoder, encode, what)


def _tried(encoder: Encoder, attempt: Callable[[], Any], what: str) -> Any:
    try:
        return attempt()
    except LabError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        here = [frame for frame in frames if not frame.filename.startswith(TORCH)][-1]
        raise ConfigError(
            f"the encoder {type(encoder).__name__} fails on {what} "
            f"at line {here.lineno} of {here.filename}: {type(error).__name__}: {error}"
        ) from error


def _equal(a: Any, b: Any) -> bool:
    return all(_equal(a[key], b[key]) for key in b) if isinstance(b, dict) else torch.equal(a, b)


def _told(value: Any) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
