"""matplotlib without `matplotlibrc` of the working directory.

matplotlib reads that file before the user's own, once, while it is imported, and no variable prevents it. The working
directory may be somebody else's, and the file changes pictures, starts LaTeX, and was run in parts before version 3.11.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

NAME = "matplotlibrc"


class MatplotlibAlone(MetaPathFinder):
    """Finds matplotlib, and hides the file from it while it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "matplotlib" else None
        if spec is not None and (loader := spec.loader) is not None:
            execute = loader.exec_module

            def execute_alone(module: ModuleType) -> None:
                with _hidden():
                    execute(module)

            loader.exec_module = execute_alone  # type: ignore[method-assign]
        return spec


@contextmanager
def _hidden() -> Iterator[None]:
    """Inside the block, no file of the working directory has that name."""
    exists = os.path.exists

    def elsewhere(path: object) -> bool:
        return path != NAME and exists(path)  # type: ignore[arg-type]

    os.path.exists = elsewhere
    try:
        yield
    finally:
        os.path.exists = exists


def hide_matplotlibrc() -> None:
    """Let matplotlib read the user's own file alone, if it is imported from now on."""
    if not any(isinstance(finder, MatplotlibAlone) for finder in sys.meta_path):
        sys.meta_path.insert(0, MatplotlibAlone())
