"""Where modules are found: none among runs, and the user's own where they are asked for by name.

Runs may be somebody else's, and so may the working directory. Libraries look for packages that may not be installed
(`import tensorboard`); on `sys.path`, the working directory would answer them with a file of that name. So the lab
never puts it there. A finder behind all others takes a module from it for three importers alone: what imports the names
in a config, a module that was itself found there, and whoever imports again what was found before.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

IMPORTERS = {
    (__name__, "import_named"),
    ("jsonargparse._util", "import_object"),  # after it has asked which imports are allowed
    ("gymnasium.envs.registration", "load_env_creator"),  # the entry point of an environment that is being made
}
"""Functions, by module and name, that import what a config names."""

PASSING = {__name__, "gymnasium.envs.registration"}
"""Modules whose other functions import for those that call them, as `gym.make("module:Task-v0")` does."""

MACHINERY = {"importlib", "_frozen_importlib", "_frozen_importlib_external"}
"""Packages of Python whose frames stand between an import and the finder."""

_found: dict[str, str] = {}
"""Modules and packages that were found in a working directory, and which. They stay imported, as modules do."""


class NoForeignCode(MetaPathFinder):
    """Refuses modules and packages inside a run's folder or a runs folder, and programs (`venv.__main__`), however they
    were named and wherever one stands."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.endswith(".__main__"):
            raise ImportError(f"{fullname} is a program, which runs when it is imported")
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            require_outside_runs(spec)
        return None  # whoever is asked next finds it


def require_outside_runs(spec: ModuleSpec, here: Path | None = None) -> None:
    """Raise ImportError for a module or package that lies in a run, or beside runs below `here`, by default the working
    directory, or below the folder of `sys.path` that it was found in."""
    folders = {os.path.dirname(spec.origin)} if spec.origin else set()
    for folder in (*folders, *(spec.submodule_search_locations or ())):
        if _of_runs(Path(folder), here or Path.cwd(), tuple(sys.path)):
            raise ImportError(f"{spec.origin or folder} lies in a folder of runs, and nothing there is imported")


@lru_cache(10_000)  # a folder has many modules
def _of_runs(folder: Path, here: Path, paths: tuple[str, ...]) -> bool:
    """Whether a folder lies in a run, or beside runs below `here` or the innermost of `paths` around it: a checkout's,
    say, where runs lie too."""
    around = [Path(path) for path in paths if path and folder.is_relative_to(path)]
    innermost = max(around, key=lambda path: len(path.parts), default=here)
    return within_run(folder) or any(_among_runs(folder, root) for root in {here, innermost})


def within_run(path: Path) -> bool:
    """Whether a file or folder belongs to a run."""
    return any((above / "summary.json").exists() for above in (path, *path.parents))


def _among_runs(path: Path, here: Path) -> bool:
    """Whether a file or folder below `here` lies beside runs, in a runs folder or an experiment's."""
    if "site-packages" in path.parts or not path.is_relative_to(here):
        return False
    below = [above for above in (path, *path.parents) if above != here and above.is_relative_to(here)]
    return any(_holds_runs(above) for above in below)


@lru_cache(1000)
def _holds_runs(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in ("*/summary.json", "*/*/summary.json"))


def refuse_foreign_code() -> None:
    """Let no module be imported that lies among runs, from now on."""
    if not any(isinstance(finder, NoForeignCode) for finder in sys.meta_path):
        sys.meta_path.insert(0, NoForeignCode())


class OwnModules(MetaPathFinder):
    """Finds modules and packages in working directories. Those below a package are found through that.

    Args:
        folders: absolute paths, the newest first.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = tuple(folders)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None:
            return None
        for folder in self._where(fullname):
            if (spec := PathFinder.find_spec(fullname, [folder], target)) is not None:
                require_outside_runs(spec, Path(folder))
                _found[fullname] = folder
                _hand_down()
                return spec
        return None

    def _where(self, fullname: str) -> list[str]:
        """Return the folders in which whoever imports now may find this module."""
        module, function = _importer()
        if (module, function) in IMPORTERS:
            return [*self.folders]
        of_importer, before = _found.get(module.partition(".")[0]), _found.get(fullname)
        return [folder for folder in (of_importer, before) if folder is not None]


def _importer() -> tuple[str, str]:
    """Return the module and the function whose code imports something or looks for it now; empty if there is none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        module, function = str(frame.f_globals.get("__name__")), frame.f_code.co_name
        passes = module in PASSING and (module, function) not in IMPORTERS
        if not passes and module.partition(".")[0] not in MACHINERY:
            return module, function
        frame = frame.f_back
    return "", ""


def import_named(module: str) -> ModuleType:
    """Import a module that a config, an override or an artifact of the user's names. Raises what the import raises."""
    return importlib.import_module(module)


def find_own_modules() -> None:
    """Let modules of the working directory be found from now on, when they are asked for by name."""
    here, before = os.getcwd(), own_folders()
    _install(OwnModules([here, *(folder for folder in before if folder != here)]))


def own_folders() -> tuple[str, ...]:
    """Return the folders in which the user's own modules are found now, the newest first."""
    return next((one.folders for one in sys.meta_path if isinstance(one, OwnModules)), ())


@contextmanager
def own_modules_as_found() -> Iterator[None]:
    """Let own modules be found after the block as they were before it. What was imported stays, and goes on to find
    what lies beside it."""
    before = [one for one in sys.meta_path if isinstance(one, OwnModules)]
    try:
        yield
    finally:
        _install(*(before or ([OwnModules(())] if _found else [])))


def _install(*finders: OwnModules) -> None:
    sys.meta_path[:] = [*(one for one in sys.meta_path if not isinstance(one, OwnModules)), *finders]


class _HandedDown:
    """What this process knows about own modules. A child process that is not forked receives it before anything that is
    pickled by the name of an own class."""

    def __reduce__(self) -> tuple[Any, ...]:
        folders = own_folders()
        return (_receive, (folders, dict(_found))) if folders else (dict, ())


def _receive(folders: Sequence[str], found: dict[str, str]) -> _HandedDown:
    _found.update(found)
    refuse_foreign_code()
    _install(OwnModules(folders))
    return _HandedDown()


def _hand_down() -> None:
    """Let child processes find what this one has found. `multiprocessing` hands each process's `_config` to the next
    and pickles it ahead of the function and its arguments."""
    from multiprocessing.process import current_process  # slow to import, and here since a library has done so

    vars(current_process())["_config"].setdefault("lab's own modules", _HandedDown())
