"""Closing environments."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lab.console.notices import notice
from lab.system.randomness import kept_randomness


def close(env: Any) -> None:
    """Close an environment or a vector environment. An error in its own `close` is announced and ends nothing: nothing
    more is needed of the environment."""
    try:
        with kept_randomness():  # the environment's own code may seed the generators of the process
            env.close()
    except Exception as error:  # an environment's own code may fail in any way
        spec = getattr(env, "spec", None)
        name = spec.id if spec else type(env.unwrapped).__name__
        _say_once(f"environment {name} could not be closed: {type(error).__name__}: {error}")


@lru_cache(100)
def _say_once(text: str) -> None:
    """The copies of an environment all fail in the same way."""
    notice(text)
