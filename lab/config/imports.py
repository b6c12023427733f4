"""Importing what configs name: the lab's, the user's own and installed classes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from types import ModuleType
from typing import Any

from lab.config.shipped import families, hidden_by_own, hiding, keep_own
from lab.errors import ConfigError, nearest
from lab.finders.modules import find_own_modules, import_named, own_folders, refuse_foreign_code

permitted: ContextVar[Callable[[str], bool]] = ContextVar("permitted", default=lambda class_path: True)
"""Which class paths `import_class` may import now: all, but for somebody else's config."""


def require_importable(module: str, key: str) -> None:
    """Raise ConfigError for a module that is no place for classes of a config: importing a program runs it, and so do
    some modules of Python's standard library."""
    first, *rest = module.split(".")
    if "__main__" in rest:
        raise ConfigError(f"{key}: {module} is a program, which runs when it is imported")
    if first in sys.stdlib_module_names and first != "__main__":
        raise ConfigError(f"{key}: {module} is part of Python's standard library, where a config may name nothing")


def import_from_here() -> None:
    """Let the user's own classes be imported from the working directory by their names; they never hide the lab's."""
    keep_own()
    refuse_foreign_code()
    find_own_modules()


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
        module = import_named(module_name)
    except ModuleNotFoundError as error:
        if hidden := hidden_by_own(error, own_folders()):
            raise ConfigError(f"{key}: there is no module {error.name!r}{hidden}") from error
        if error.name and not module_name.startswith(error.name):
            raise ConfigError(f"{key}: {class_path} needs the package {error.name}, which is not installed") from error
        raise ConfigError(f"{key}: there is no module {module_name!r}{nearest(module_name, sys.modules)}") from error
    except Exception as error:  # the user's own module may fail in any way while it is imported
        said = f"{type(error).__name__}: {error}{hidden_by_own(error, own_folders())}"
        raise ConfigError(f"{key}: importing {module_name} failed with {said}") from error
    if not hasattr(module, name):
        names = {*dir(module), *getattr(module, "__all__", ())}
        raise ConfigError(f"{key}: {module_name} has no class {name!r}{nearest(name, names)}")
    return getattr(module, name)
