"""Compiled programs in the user's cache folder, made once and used by every later run of the same operations.

They are machine code. So they come from the user's own folder alone, never from a run or a download, and a folder or
file that belongs to somebody else, or that others may write to, is left alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from agents.compiled.listing import Listing
from agents.compiled.package import Package
from lab.console.notices import notice
from lab.console.wording import near

FORMAT = 3
"""Of the programs' arguments, and of how they compute: see `compiling.compile_program` and `decompositions`. Programs
of other formats are left alone."""
TORCH = (2, 13)
"""The version of torch whose interface to compiled programs is used; others run without."""

UNFINISHED = "*.part.pt2"
"""Files that a compiler writes to before they get their names."""

Maker = Callable[[Callable[..., Sequence[Tensor]], str, Listing, Sequence[Tensor], Sequence[Tensor], Path], None]
"""Compiles a function, given what it does, its listing, inputs and other tensors, into a file."""


def folder() -> Path:
    """Return the folder of compiled programs."""
    from platformdirs import user_cache_path  # 10 ms

    return user_cache_path("lab") / "programs"


class Packages:
    """Compiled programs that a run may use: those that were there when it began.

    Args:
        names: of the programs.
        make: compiles those that are missing; None to go without.
    """

    def __init__(self, names: Iterable[str] = (), make: Maker | None = None) -> None:
        self.names, self.make = frozenset(names), make
        self.used: set[str] = set()
        """Names of those that run in this process."""

    def __bool__(self) -> bool:
        return bool(self.names) or self.make is not None

    def find(
        self,
        function: Callable[..., Sequence[Tensor]],
        what: str,
        listing: Listing,
        inputs: list[Tensor],
        others: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> Package | None:
        """Return the compiled program of a function; None where there is none.

        Args:
            function: of the inputs; it runs only where it is compiled.
            what: it does, for messages.
            listing: of its operations.
            inputs: places of its inputs.
            others: tensors that it reads or changes besides.
            outputs: what it returned.
        """
        digest = listing.digest(outputs)
        # Optimizers go through gradients as they lie in memory, and programs write them in one order.
        if digest is None or not all(x.is_contiguous() for x in outputs):
            return None
        name = name_of(digest)
        file = folder() / f"{name}.pt2"
        if self.make is not None and name not in self.names:
            self.make(function, what, listing, inputs, others, file)
            self.names |= {name}  # once, even where it could not be compiled
        if name not in self.names or not mine(file):
            return None
        try:
            package = Package(file, listing, inputs, others, outputs)
        except RuntimeError:  # a damaged file, or a library that it needs and this machine has not
            self.refuse(file, "cannot be loaded")
            return None
        self.used.add(name)
        return package

    def state_dict(self) -> dict[str, list[str]]:
        """Return which programs this run has used, and which it may use."""
        return {"used": sorted(self.used), "known": sorted(self.names)}

    def load_state_dict(self, state: Mapping[str, Iterable[str]]) -> None:
        """Go on with the programs of a checkpoint, and no others: they would round otherwise."""
        self.used, self.names = set(map(str, state["used"])), frozenset(map(str, state["known"]))

    def refuse(self, file: Path, why: str) -> None:
        """Do without a program from now on, and say so."""
        self.used.discard(file.stem)
        self.names -= {file.stem}
        notice(f"the compiled program {near(file)} {why}, and is not used: delete it, and `lab compile` makes it anew")


NONE = Packages()


def present() -> Packages:
    """Return the programs in the user's cache: none for another version of torch, or in a folder of somebody else's."""
    if not supported() or not mine(folder()):
        return Packages()
    files = folder().glob(f"{FORMAT}-*.pt2")
    return Packages(file.stem for file in files if mine(file) and not file.match(UNFINISHED))


def missing(state: Mapping[str, Iterable[str]]) -> str | None:
    """Return why a run cannot go on with the programs of its checkpoint (see `Packages.state_dict`), or None."""
    used = set(map(str, state["used"]))
    gone = used - present().names
    if not gone:
        return None
    return (
        f"{len(gone)} of the {len(used)} compiled programs that this run has used are not in {near(folder())}; with "
        "the same machine, torch and lab, `lab compile` with its config makes them again"
    )


def supported() -> bool:
    """Whether this version of torch runs compiled programs."""
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    return version == TORCH and hasattr(torch._C, "_aoti")


def mine(path: Path) -> bool:
    """Whether a file or folder exists, is no link, belongs to the user, and nobody else may write to it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    kind = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return kind and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def name_of(digest: str) -> str:
    """Return the name of the program of a listing on this kind of machine, for the present number of threads."""
    parts: list[object] = [digest, torch.__version__, platform.system(), platform.machine()]
    parts += [torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()]
    return f"{FORMAT}-{hashlib.sha256('|'.join(map(str, parts)).encode()).hexdigest()[:32]}"
