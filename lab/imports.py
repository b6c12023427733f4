"""What lies in a run's folder is never imported: it may be somebody else's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


class RunsAreData(MetaPathFinder):
    """Refuses modules and packages inside a run's folder, however they were named and wherever one stands."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            for place in [spec.origin, *(spec.submodule_search_locations or ())]:
                if place and within_run(Path(place)):
                    raise ImportError(f"{place} lies in a run's folder, and nothing there is imported")
        return None  # whoever is asked next finds it


def within_run(path: Path) -> bool:
    """Whether a file or folder belongs to a run."""
    return any((above / "summary.json").exists() for above in (path, *path.parents))


def import_from_here() -> None:
    """Make the working directory importable, for the user's own classes; last, so that they never hide the lab's."""
    if not any(isinstance(finder, RunsAreData) for finder in sys.meta_path):
        sys.meta_path.insert(0, RunsAreData())
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
