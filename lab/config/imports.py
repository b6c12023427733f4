"""Importing what configs name: the lab's, the user's own and installed classes.

Nothing is imported that lies among runs, which may be somebody else's, nor what acts when it is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from lab.config.shipped import families, hidden_by_own, hiding, keep_own
from lab.errors import ConfigError, nearest

permitted: ContextVar[Callable[[str], bool]] = ContextVar("permitted", default=lambda class_path: True)
"""Which class paths `import_class` may import now: all, but for somebody else's config."""


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
            for place in [spec.origin, *(spec.submodule_search_locations or ())]:
                if place and (within_run(Path(place)) or _among_runs(Path(place))):
                    raise ImportError(f"{place} lies in a folder of runs, and nothing there is imported")
        return None  # whoever is asked next finds it


def within_run(path: Path) -> bool:
    """Whether a file or folder belongs to a run."""
    return any((above / "summary.json").exists() for above in (path, *path.parents))


def _among_runs(path: Path) -> bool:
    """Whether a file or folder below the working directory lies beside runs, in a runs folder or an experiment's."""
    here = Path.cwd()
    if "site-packages" in path.parts or not path.is_relative_to(here):
        return False
    below = [above for above in (path, *path.parents) if above != here and above.is_relative_to(here)]
    return any(_holds_runs(above) for above in below)


@lru_cache(1000)
def _holds_runs(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in ("*/summary.json", "*/*/summary.json"))


def require_importable(module: str, key: str) -> None:
    """Raise ConfigError for a module that is no place for classes of a config: importing a program runs it, and so do
    some modules of Python's standard library."""
    first, *rest = module.split(".")
    if "__main__" in rest:
        raise ConfigError(f"{key}: {module} is a program, which runs when it is imported")
    if first in sys.stdlib_module_names and first != "__main__":
        raise ConfigError(f"{key}: {module} is part of Python's standard library, where a config may name nothing")


def refuse_foreign_code() -> None:
    """Let no module be imported that lies among runs, from now on."""
    if not any(isinstance(finder, NoForeignCode) for finder in sys.meta_path):
        sys.meta_path.insert(0, NoForeignCode())


def import_from_here() -> None:
    """Make the working directory importable, for the user's own classes; last, so that they never hide the lab's."""
    keep_own()
    refuse_foreign_code()
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def present_name(name: str) -> str:
    """Return the present dotted name of what an earlier version had under `name`; `name` itself if it did not move."""
    names: dict[str, str] = getattr(moved(name.partition(".")[0]), "MOVED", {})
    old = next((old for old in names if name == old or name.startswith(f"{old}.")), "")
    return names[old] + name.removeprefix(old) if old else name


@lru_cache(256)
def moved(package: str) -> ModuleType | None:
    """Return the module of `lab` or a family that says what was called otherwise in earlier versions; None for none."""
    if package not in ("lab", *families()) or importlib.util.find_spec(f"{package}.moved") is None:
        return None
    return importlib.import_module(f"{package}.moved")


def public_name(cls: type) -> str:
    """Return the dotted name that a class is known by: the shortest package that hands it out, else its module."""
    parts = cls.__module__.split(".")
    packages = (".".join(parts[:count]) for count in range(1, len(parts)))
    found = (one for one in packages if getattr(sys.modules.get(one), cls.__qualname__, None) is cls)
    return f"{next(found, cls.__module__)}.{cls.__qualname__}"


def import_handed_out(package: str) -> None:
    """Import every class that a package hands out lazily, so that it is found by its name alone (`Conv`)."""
    module = importlib.import_module(package)
    for name in module.__all__:
        getattr(module, name)


def import_class(class_path: Any, key: str) -> Any:
    """Import `package.module.Name`. Raises ConfigError, naming the nearest, when it is not there."""
    module_name, _, name = present_name(str(class_path)).rpartition(".")
    if not module_name:
        return None  # a short name: jsonargparse finds it among the classes that are imported
    if not permitted.get()(str(class_path)):
        raise ConfigError(f"{key}: {class_path} is not imported for somebody else's config")
    require_importable(module_name, key)
    if other := hiding(module_name):
        raise ConfigError(
            f"{key}: the lab's package {module_name.partition('.')[0]!r} is hidden by {other}, which was imported "
            "before; use the lab in a process without it"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if hidden := hidden_by_own(error):
            raise ConfigError(f"{key}: there is no module {error.name!r}{hidden}") from error
        if error.name and not module_name.startswith(error.name):
            raise ConfigError(f"{key}: {class_path} needs the package {error.name}, which is not installed") from error
        raise ConfigError(f"{key}: there is no module {module_name!r}{nearest(module_name, sys.modules)}") from error
    except Exception as error:  # the user's own module may fail in any way while it is imported
        said = f"{type(error).__name__}: {error}{hidden_by_own(error)}"
        raise ConfigError(f"{key}: importing {module_name} failed with {said}") from error
    if not hasattr(module, name):
        names = {*dir(module), *getattr(module, "__all__", ())}
        raise ConfigError(f"{key}: {module_name} has no class {name!r}{nearest(name, names)}")
    return getattr(module, name)
