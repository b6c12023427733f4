"""What comes with the lab: its experiments by family, and the families' packages.

Other packages and folders are called `agents` or `generative` as well. Inside the lab its own are the ones that are
imported, and whoever is hidden is told by which file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
"""The folder in which the lab's packages lie."""


def shipped() -> dict[str, Path]:
    """The lab's own experiments: name to file. Found beside `lab`, since others also call a package `configs`."""
    found = (path for name in families() for path in (configs_folder() / name).glob("*.yaml"))
    return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


def families() -> list[str]:
    """The packages that have experiments: those with a folder of their name in `configs`."""
    root = configs_folder().parent
    return sorted(path.name for path in configs_folder().iterdir() if (root / path.name / "__init__.py").is_file())


def family(config: Mapping[str, Any]) -> str:
    """The family of an experiment, read off its class names without importing them; `custom` for a user's own."""
    model = config.get("model")
    named = (config.get("experiment"), model.get("class_path") if isinstance(model, Mapping) else None)
    roots = [str(value).partition(".")[0] for value in named]
    return next((root for root in roots if root in families()), "custom")


def configs_folder() -> Path:
    """The folder of the lab's own YAMLs."""
    return Path(str(resources.files("lab"))).parent / "configs"


class OwnFirst(MetaPathFinder):
    """Finds the lab's packages beside `lab`, whatever else on the path is called so."""

    def __init__(self) -> None:
        self.names = frozenset(families())  # asked at every import

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [str(ROOT)]) if fullname in self.names else None


def keep_own() -> None:
    """Let the lab's packages be imported under their names from now on."""
    if not any(isinstance(finder, OwnFirst) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnFirst())


def hiding(module: str) -> str:
    """Return the file that hides the lab's package of a module, because it was imported before; empty for none."""
    first = module.partition(".")[0]
    there = sys.modules.get(first)
    return _place(there) if first in families() and there is not None and not _within(_place(there)) else ""


def hidden_by_own(error: BaseException, folders: Sequence[str] = ()) -> str:
    """Return a sentence for an import that failed because the lab's package has the name of the one that was meant,
    which is on Python's path or in one of `folders`; empty for any other."""
    names = (getattr(error, "name", None) or "").partition(".")[0]
    if names not in families():
        return ""
    elsewhere = [entry for entry in (*sys.path, *folders) if Path(entry or ".").resolve() != ROOT]
    other = PathFinder.find_spec(names, elsewhere)
    if other is None or _within(other.origin or next(iter(other.submodule_search_locations or ()), "")):
        return ""
    place = other.origin or next(iter(other.submodule_search_locations or ()))
    return f"; the lab's own package {ROOT / names} hides {place}: rename that one"


def _place(module: ModuleType) -> str:
    return module.__file__ or next(iter(getattr(module, "__path__", ())), "an unknown file")


def _within(place: str) -> bool:
    return Path(place).resolve().is_relative_to(ROOT)
