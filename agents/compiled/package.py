"""A compiled program as it runs: machine code from the user's own cache, made ahead of time by `compiling.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from agents.compiled.listing import Listing


class Package:
    """Reads inputs and other tensors in place, writes outputs to fixed places: used as `programs.Program` is.

    Args:
        file: made by `compiling.compile_program` for a function with the same listing.
        listing: of the function in this process.
        inputs: places of the function's inputs. Numbers are filled in there; tensors are read where they are.
        others: tensors that the function reads or changes besides.
        outputs: what the function returned, for the outputs' shapes.
    """

    def __init__(
        self, file: Path, listing: Listing, inputs: list[Tensor], others: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None:
        # One call at a time, one copy of the program, no GPU.
        self.loader = torch._C._aoti.AOTIModelPackageLoader(str(file), "model", True, 1, -1)
        self.file, self.inputs = file, inputs
        self.outputs = tuple(torch.empty_like(x, memory_format=torch.contiguous_format) for x in outputs)
        self.draws = [(func, args, settings) for func, args, settings, _ in listing.draws]
        drawn = [x for *_, x in listing.draws]
        self.fixed: list[Tensor] = [*others, *drawn]
        self.first_draw = len(inputs) + len(others)

    def __call__(self, leaves: Sequence[Tensor | float], places: Sequence[Tensor] | None = None) -> Sequence[Tensor]:
        """Run for these inputs, and return the outputs, which are written to `places`: by default to the package's own,
        where the next call overwrites them."""
        given: list[Tensor] = []
        for own, new in zip(self.inputs, leaves, strict=True):
            given.append(new.contiguous() if isinstance(new, Tensor) else own.fill_(new))
        outputs = self.outputs if places is None else places
        with torch.no_grad():
            given += self.fixed
            given += outputs
            for number, (func, args, settings) in enumerate(self.draws, self.first_draw):
                given[number] = func(*args, **settings)
            self.loader.boxed_run(given)
        return outputs
