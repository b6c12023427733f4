"""Making compiled programs: what an agent computes is compiled once, into the user's cache."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from torch import Tensor

from agents.compiled.compilers import obstacle
from agents.compiled.listing import Listing
from agents.compiled.packages import folder, mine
from lab.console.wording import near
from lab.errors import EnvironmentFailedError

PLACES = ("TORCHINDUCTOR_CACHE_DIR", "TMPDIR")
"""Name the folders in which torch's compiler and the C++ compiler work."""


class Made(NamedTuple):
    """A program that was compiled.

    Args:
        what: it computes.
        seconds: that compiling took.
        size: of its file, in bytes; None where it could not be compiled.
        problem: why it could not.
    """

    what: str
    seconds: float
    size: int | None
    problem: str = ""


class Maker:
    """Compiles functions, one at a time, inside a `with` block: a `packages.Maker`.

    Args:
        say: told what is compiled, before that takes its time.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.made: list[Made] = []
        # Nothing is taken from a folder that others may write to, as torch's own cache in /tmp may be.
        self.place = tempfile.TemporaryDirectory(prefix="lab-compile-")
        self.before = {name: os.environ.get(name) for name in PLACES}

    def __enter__(self) -> Maker:
        os.environ |= dict.fromkeys(PLACES, self.place.name)
        return self

    def __exit__(self, *error: object) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self.place.cleanup()

    def __call__(
        self,
        function: Callable[..., Sequence[Tensor]],
        what: str,
        listing: Listing,
        inputs: Sequence[Tensor],
        others: Sequence[Tensor],
        file: Path,
    ) -> None:
        from agents.compiled.compiling import compile_program

        self.say(f"compiling: {what}")
        started = perf_counter()
        drawn = [x for *_, x in listing.draws]
        part = file.with_name(f"{file.stem}.{os.getpid()}.part.pt2")
        size, problem = None, ""
        try:
            compile_program(function, inputs, others, drawn, part)
            part.chmod(0o600)
            size = part.stat().st_size
            part.replace(file)
        except Exception as error:  # torch's compiler raises errors of any kind
            problem = " ".join(str(error).split())[:160] or type(error).__name__
        finally:
            part.unlink(missing_ok=True)
        self.made.append(Made(what, perf_counter() - started, size, problem))


def require_compiler() -> None:
    """Raise EnvironmentFailedError where nothing can be compiled, or where the cache is not the user's own."""
    if (why := obstacle()) is not None:
        raise EnvironmentFailedError(f"{why}; everything runs without compiled programs")
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not mine(place):
        raise EnvironmentFailedError(
            f"{near(place)} must be a folder of your own that nobody else may write to; compiled programs are machine "
            "code, and are not taken from it"
        )
