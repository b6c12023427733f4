"""Functions of tensors that run a few times, and are then repeated without Python, autograd or new memory.

A gradient step of a small network is some sixty operations of a few microseconds each; Python and autograd take longer
to put them together than they take to run. The operations are the same in every step. So the first call records them
with the tensors that they read and write (`tape.py`), the next calls prove that repeating them gives the same result
to the last bit, and later calls copy in the new inputs and run the same list. On a GPU, CUDA graphs do this
(`graphs.py`). Where the user's cache has a compiled program of the same operations (`packages.py`), it runs instead,
from the first call on; its results differ from the function's by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from agents.acceleration.graphs import Graph, Watch, on_stream
from agents.acceleration.programs import Input, Program, rebuild, take_apart
from agents.acceleration.snapshot import Snapshot, attributes, close, dicts_of, surroundings, unchanged
from agents.acceleration.tape import record
from agents.compiled.listing import Listing
from agents.compiled.package import Package
from agents.compiled.packages import NONE, Packages
from lab.console.notices import notice

Capture = Literal["auto", "always", "never"]
"""Whether functions are captured: `auto` does so on the CPU; `always` also on a GPU, which has not been run yet."""

Function = Callable[..., Sequence[Tensor]]

MOST = 8
"""Programs that a function can have, one for each set of shapes, types and constants; no further ones are captured."""

PROOFS = 4
"""Calls in which a repetition is compared with the function. Some of torch's formulas take another way while they are
recorded, which shows in the last bit now and then."""

MOST_RENEWED = 8
"""Times that a function is captured anew. Capturing does not pay where something changes all the time."""

WARM_UP = 3
"""Calls of each kind on a GPU before one is captured: libraries prepare themselves in the first calls."""


class Captured:
    """`function(*inputs) -> outputs`, repeated after its first calls for inputs of the same shapes and types.

    The outputs are the same tensors each time, without gradients; the next call overwrites them. What the function
    reads besides its inputs, such as weights, must be changed in place. Random numbers of torch are drawn anew each
    time. Where the function's Python matters, every call runs the function itself: operations whose result has a shape
    that depends on values, numbers taken out of tensors, random numbers of Python and NumPy, attributes of the module
    that the function sets, and everything else that makes its next calls differ from repetitions of the first one.

    Args:
        function: takes inputs (see `programs.Input`), returns a tuple of tensors. Numbers reach it as tensors.
        module: the function may read all of its weights, buffers and attributes.
        device: of all tensors.
        wish: whether to capture where that is possible.
        changed: returns the tensors outside of `module` that the function may change.
        packages: compiled programs that may run in the place of functions.
        what: the function does, for messages.
        repeats: whether its operations may be repeated where there is no compiled program, which keeps their results.
    """

    def __init__(
        self,
        function: Function,
        module: nn.Module,
        device: torch.device,
        wish: Capture = "auto",
        changed: Callable[[], Sequence[Tensor]] = tuple,
        packages: Packages = NONE,
        what: str = "",
        *,
        repeats: bool = True,
    ) -> None:
        self.function, self.module, self.device, self.changed = function, module, device, changed
        self.packages, self.what, self.repeats = packages, what, repeats
        self.wished = wish != "never" and (device.type == "cpu" or (device.type == "cuda" and wish == "always"))
        self.programs: dict[Any, Program | Graph | None] = {}
        self.proven: dict[Any, Program | Graph | Package] = {}
        self.renewed = 0
        wanted = self.wished and device.type == "cuda"
        self.stream = torch.cuda.Stream(device) if wanted else None  # type: ignore[no-untyped-call]
        """On which functions are captured."""
        self.warm: dict[Any, int] = {}
        """Calls on that stream so far, for each of `programs`."""
        self.repeated: Program | Graph | Package | None = None
        """What the last call repeated; None where it ran the function."""
        self.calls = 0
        self.dicts: list[dict[str, Any]] = []
        self.known: list[Any] = [self]

    def renew(self, *constants: Any) -> None:
        """Forget all programs if the module's attributes, which weights are trained, or `constants` (what else the
        function reads) have changed since the last call of this method."""
        if self.wished and not unchanged([*constants, *attributes(self.dicts)], self.known):
            self.dicts = dicts_of(self.module)
            self.known = [*constants, *attributes(self.dicts)]
            for known in (self.programs, self.proven, self.warm):
                known.clear()
            self.renewed += 1
            # A resumed run has forgotten the count: with compiled programs, it must not come to another decision.
            self.wished = self.renewed <= MOST_RENEWED or bool(self.packages)

    def __call__(self, *inputs: Input) -> Sequence[Tensor]:
        return self._call(inputs, None)

    def write(self, places: Sequence[Tensor], *inputs: Input) -> None:
        """Call the function, and leave what it returns in `places`, contiguous tensors of the same shapes and types."""
        for place, x in zip(places, self._call(inputs, places), strict=True):
            if place is not x:
                place.copy_(x)

    def is_compiled(self, *inputs: Input) -> bool:
        """Whether a compiled program runs for such inputs. Nothing changes, random numbers included."""
        key = take_apart(inputs, [])
        known = key in self.proven or key in self.programs or len(self.programs) == MOST
        if self.wished and self.packages and not known:
            before = Snapshot(self.module, self.device, self.changed())
            self(*inputs)
            before.restore()
        return isinstance(self.proven.get(key), Package)

    def _call(self, inputs: Sequence[Input], places: Sequence[Tensor] | None) -> Sequence[Tensor]:
        """Call the function; a compiled program leaves its outputs in `places`, where there are any."""
        self.repeated = None
        if not (self.wished and (self.repeats or self.packages)):
            return self.function(*inputs)
        leaves: list[Tensor | float] = []
        key = take_apart(inputs, leaves)
        self.repeated = self.proven.get(key)
        self.calls += 1
        if isinstance(self.repeated, Package):
            return self.repeated(leaves, places)
        return self._learn(key, inputs, leaves) if self.repeated is None else self.repeated(leaves)

    def _learn(self, key: Any, inputs: Sequence[Input], leaves: list[Tensor | float]) -> Sequence[Tensor]:
        """Answer one of the first calls."""
        if (program := self.programs.get(key)) is not None:
            return self._prove(key, program, inputs, leaves)
        if key in self.programs or len(self.programs) == MOST:
            return self.function(*inputs)
        if self.stream is not None:
            return self._learn_graph(key, inputs, leaves, self.stream)
        self.programs[key] = None
        places = [self._place(leaf) for leaf in leaves]
        own = rebuild(tuple(inputs), list(places))
        before, setting = Snapshot(self.module, self.device, self.changed()), surroundings(self.module)
        listing = Listing(places, before.tensors) if self.packages else None
        try:
            tape = record(self.function, own, listing)
        except Exception:  # it cannot be recorded, or the function failed: then the second call fails as well
            before.restore()
            return self.function(*inputs)
        if not tape.faithful:
            before.restore()
            return self.function(*inputs)
        if tape.pure and unchanged(setting, surroundings(self.module)):
            if listing is not None and (package := self._compiled(listing, before, own, places, tape.outputs)):
                self.proven[key] = self.repeated = package
                return package.outputs
            if tape.calls is not None and self.repeats:
                self.programs[key] = Program(places, tape.calls, tape.outputs, tape.memory)
        return tape.outputs

    def _compiled(
        self, listing: Listing, before: Snapshot, own: Any, places: list[Tensor], outputs: Sequence[Tensor]
    ) -> Package | None:
        """Undo the call that was recorded, and make it by a compiled program; None where there is none that agrees."""
        others = before.tensors
        after = Snapshot(self.module, self.device, self.changed())

        def function(*leaves: Tensor) -> Sequence[Tensor]:
            return self.function(*rebuild(own, list(leaves)))

        before.restore()
        in_use = frozenset(self.packages.used)
        package = self.packages.find(function, self.what, listing, places, others, outputs)
        before.restore()  # compiling runs the function
        if package is not None:
            package(places)
            # One that the run has used already is not judged again: a resumed run would come to another decision.
            if package.file.stem in in_use or (all(map(close, package.outputs, outputs)) and after.is_now(close)):
                return package
            self.packages.refuse(package.file, "does not compute what it was made from")
        after.restore()
        return None

    def _learn_graph(
        self, key: Any, inputs: Sequence[Input], leaves: list[Tensor | float], stream: torch.cuda.Stream
    ) -> Sequence[Tensor]:
        """Answer one of the first calls on a GPU: run the function, look whether it can be captured, capture it."""
        self.warm[key] = calls = self.warm.get(key, 0) + 1
        if calls < WARM_UP:
            with on_stream(stream):
                return self.function(*inputs)
        if calls == WARM_UP:
            with on_stream(stream), Watch(self.device) as watch:
                outputs = self.function(*inputs)
            if watch.refused:
                self.programs[key] = None
            return outputs
        self.programs[key] = None
        places = [self._place(leaf) for leaf in leaves]
        try:
            graph = Graph(self.function, rebuild(tuple(inputs), list(places)), places, stream)
        except RuntimeError as error:  # torch does not promise that another capture succeeds after one that failed
            self.wished = False
            notice(f"CUDA graphs are not used ({type(error).__name__}: {' '.join(str(error).split())[:200]})")
            return self.function(*inputs)
        return self._prove(key, graph, inputs, leaves)

    def _prove(
        self, key: Any, program: Program | Graph, inputs: Sequence[Input], leaves: list[Tensor | float]
    ) -> Sequence[Tensor]:
        """Run the program, undo that, and run the function; trust the program if nothing differs."""
        self.programs[key] = None
        others = self.changed()
        before = Snapshot(self.module, self.device, [*others, *program.memory])
        setting = surroundings(self.module)
        try:
            repeated = [x.clone() for x in program(leaves)]
        except Exception:  # operations with results that are no ordinary tensors
            before.restore()
            return self.function(*inputs)
        after = Snapshot(self.module, self.device, others)
        before.restore()
        outputs = self.function(*inputs)
        alike = _alike if self.device.type == "cuda" else torch.equal
        same = len(outputs) == len(repeated) and all(map(alike, outputs, repeated))
        if same and after.is_now(alike) and unchanged(setting, surroundings(self.module)):
            self.programs[key] = program
            program.proofs += 1
            if program.proofs == PROOFS:
                self.proven[key] = program
        return outputs

    def _place(self, leaf: Tensor | float) -> Tensor:
        """Return a tensor of the captured function's own, for this input and the later ones."""
        return leaf.clone() if isinstance(leaf, Tensor) else torch.tensor(leaf, dtype=torch.float64, device=self.device)


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether a GPU has computed the same, of which the last bits may differ."""
    return (torch.allclose if one.is_floating_point() else torch.equal)(one, other)
