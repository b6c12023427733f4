"""Benchmarks whose data or peer is not at hand are left out and named; the others go on."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import ConfigError, DataError

NAMED: list[str] = []
"""What was left out, and why."""


@contextmanager
def left_out_if_missing(name: str) -> Iterator[None]:
    """Leave out what is left of the block once a package or a data set turns out not to be there; `name` is that of the
    benchmark or its part."""
    try:
        yield
    except (ConfigError, DataError, ImportError) as error:  # ConfigError: an environment's package
        NAMED.append(f"{name}: {error}")
        print(f"left out: {NAMED[-1]}", flush=True)


def require(*packages: str) -> None:
    """Raise ImportError if a peer's package, by its import name, is not installed. They are of the extra `bench`."""
    if absent := [one for one in packages if importlib.util.find_spec(one) is None]:
        raise ImportError(f"{', '.join(absent)} not installed: pip install '.[bench]'")
