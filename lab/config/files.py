"""Config files: found by name, read, and merged with what they extend.

Imports nothing heavy, so that `lab list` is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.config.plain import NotPlainError, parse
from lab.config.shipped import shipped
from lab.config.values import require_plain
from lab.errors import ConfigError, nearest
from lab.finders.modules import within_run
from lab.moved import SETTINGS
from lab.system.opening import read_plain

CLASS = ("class_path", "init_args", "dict_kwargs")
"""Keys of a class in a config file: its dotted path, its settings, and what its constructor takes as `**kwargs`."""


def find(name: str) -> Path:
    """Return the file of an experiment, given its name or a path ending in .yaml or .yml."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ConfigError(f"there is no config file {name}")
        return Path(name).absolute()
    experiments = shipped()
    if name not in experiments:
        hint = nearest(name, experiments) or "; `lab list` shows them all"
        raise ConfigError(f"unknown experiment {name!r}{hint}")
    return experiments[name]


def read(
    path: Path,
    chain: tuple[Path, ...] = (),
    declared: dict[str, dict[str, Any]] | None = None,
    is_strangers: Callable[[Path, bytes], bool] = lambda path, content: False,
) -> dict[str, Any]:
    """Read a config with all that it extends: `extends` names a file beside it, or one of the lab's experiments.

    Args:
        path: of the file.
        chain: files that extend it.
        declared: receives, by key, the config as the file has it that gives this key last.
        is_strangers: whether a file with these bytes is somebody else's, which may extend nothing: it could name any
            file of this user.
    """
    if path in chain:
        circle = " -> ".join(p.name for p in (*chain, path))
        raise ConfigError(f"circular extends: {circle}")
    of_run = within_run(path)
    try:
        written = read_plain(path, path.parent if of_run else None)
        strange = is_strangers(path, written)
        content = parse(written, bounded=of_run or strange)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except NotPlainError as error:
        raise ConfigError(f"{path} {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys and values, received {type(content).__name__}")
    require_plain(content, path)
    values: dict[str, Any] = content if of_run else _settings_inside(content)  # a run's are in their places
    _rename(values)
    if "extends" not in values:
        if declared is not None:
            declared |= dict.fromkeys(values, values)
        return values
    if strange or of_run:
        raise ConfigError(f"{path} is the config of a run, which has all settings and extends nothing")
    parent = values.pop("extends")
    if not isinstance(parent, str):
        raise ConfigError(f"extends in {path} must be a file or an experiment's name, received {parent!r}")
    beside = path.resolve().parent / parent
    parent_path = beside.resolve() if parent.endswith((".yaml", ".yml")) else find(parent)
    if not parent_path.is_file():
        raise ConfigError(f"{path} extends {parent}, but there is no such file")
    merged: dict[str, Any] = merge(read(parent_path, (*chain, path), declared, is_strangers), values)
    if declared is not None:
        declared |= dict.fromkeys(values, merged)
    return merged


def merge(parent: Any, child: Any) -> Any:
    """Lay `child` over `parent`, key by key. Another class_path replaces the class with all its settings."""
    if not (isinstance(parent, dict) and isinstance(child, dict)):
        return child
    if "class_path" in child and child["class_path"] != parent.get("class_path"):
        return child
    if "class_path" in parent:
        child = _inside(child)
    return {
        key: merge(parent[key], child[key]) if key in parent and key in child else child.get(key, parent.get(key))
        for key in {**parent, **child}
    }


def _settings_inside(values: dict[str, Any]) -> dict[str, Any]:
    """Return a config in which all settings of a class stand in its `init_args`, also those written beside its path."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return _settings_inside(value)
        return [moved(one) for one in value] if isinstance(value, list) else value

    found = {key: moved(value) for key, value in values.items()}
    return _inside(found) if isinstance(found.get("class_path"), str) else found


def _inside(given: dict[str, Any]) -> dict[str, Any]:
    """Move the settings of a class into its `init_args`. Raises ConfigError for one that is given in both places."""
    beside = {key: value for key, value in given.items() if key not in CLASS}
    if not beside:
        return given
    settings = given.get("init_args") or {}
    if twice := [key for key in beside if key in settings]:
        raise ConfigError(f"{twice[0]!r} is given twice: in init_args and beside it; leave one of them out")
    return {**{key: given[key] for key in CLASS if key in given}, "init_args": {**settings, **beside}}


def _rename(config: dict[str, Any]) -> None:
    """Give settings that had another name in an earlier version their present one."""
    for old, new in SETTINGS.items():
        group, _, before = old.rpartition(".")
        place, name = setting(config, group), new.rpartition(".")[2]
        if isinstance(place, dict) and before in place and name not in place:
            place[name] = place.pop(before)


def setting(config: Mapping[str, Any], name: str) -> Any:
    """Look up a dotted name, passing through `init_args` as the command line does; None where there is none."""
    value: Any = config
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        inner = value.get("init_args")
        value = value.get(part, inner.get(part) if isinstance(inner, Mapping) else None)
    return value
