"""Encoders inside encoders."""

from __future__ import annotations

from contextvars import ContextVar

from lab.data.spec import Spec
from lab.encoders.base import Encoder, EncoderFactory
from lab.encoders.contract import build_encoder

_place: ContextVar[str] = ContextVar("_place", default="")


def build_inner(factory: EncoderFactory, spec: Spec, place: str) -> Encoder:
    """Build the encoder that becomes the submodule called `place` of the one whose constructor calls this.

    The outer one then puts what it got into its own `settings` instead of the factory, which no file can hold.
    """
    token = _place.set(f"{_place.get()}.{place}".lstrip("."))
    try:
        return build_encoder(factory, spec)
    finally:
        _place.reset(token)


def place() -> str:
    """Name of the submodule that is being built, from the outermost encoder; empty for that one itself."""
    return _place.get()
