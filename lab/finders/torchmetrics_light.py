"""torchmetrics without `scipy.signal`, which is a third of the time of `import pytorch_lightning`.

torchmetrics imports it to repair a function for a library that the lab does not use. Lightning imports torchmetrics.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

SIGNAL = "scipy.signal"


class TorchmetricsLight(MetaPathFinder):
    """Finds torchmetrics, and lets something empty stand for `scipy.signal` while it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "torchmetrics" else None
        if spec is not None and (loader := spec.loader) is not None:
            execute = loader.exec_module

            def execute_lightly(module: ModuleType) -> None:
                with _without_signal():
                    execute(module)

            loader.exec_module = execute_lightly  # type: ignore[method-assign]
        return spec


@contextmanager
def _without_signal() -> Iterator[None]:
    if SIGNAL in sys.modules:
        yield
        return
    empty = ModuleType(SIGNAL)
    empty.hamming = None  # type: ignore[attr-defined]  # what torchmetrics looks for
    sys.modules[SIGNAL] = empty
    try:
        yield
    finally:
        if sys.modules.get(SIGNAL) is empty:
            del sys.modules[SIGNAL]


def make_torchmetrics_light() -> None:
    """Let torchmetrics leave `scipy.signal` alone, if it is imported from now on."""
    if not any(isinstance(finder, TorchmetricsLight) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchmetricsLight())
