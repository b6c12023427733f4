"""Benchmarks whose data or peer is not at hand are left out and named, and so are those that fail; the others go on."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import ConfigError, DataError, LabError

NAMED: list[str] = []
"""What was left out, and why."""
FAILED: list[str] = []
"""What failed, with the end of what it said."""


@contextmanager
def left_out_if_missing(name: str) -> Iterator[None]:
    """Leave out what is left of the block once a package or a data set turns out not to be there, or a process or the
    lab fails; `name` is that of the benchmark or its part."""
    try:
        yield
    except (ConfigError, DataError, ImportError) as error:  # ConfigError: an environment's package
        NAMED.append(f"{name}: {error}")
        print(f"left out: {NAMED[-1]}", flush=True)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        _failed(f"{name}: {' '.join(map(str, error.cmd))}: exit code {error.returncode}\n{said[-2000:]}")
    except LabError as error:
        _failed(f"{name}: {error}")


def _failed(what: str) -> None:
    FAILED.append(what)
    print(f"failed: {what}", flush=True)


def require(*packages: str) -> None:
    """Raise ImportError if a peer's package, by its import name, is not installed. They are of the extra `bench`."""
    if absent := [one for one in packages if importlib.util.find_spec(one) is None]:
        raise ImportError(f"{', '.join(absent)} not installed: pip install '.[bench]'")
