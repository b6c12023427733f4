"""The command that repeats a run: its experiment with overrides, or its config file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from lab.config.files import setting
from lab.config.shipped import shipped
from lab.config.values import word
from lab.console.wording import near
from lab.errors import LabError
from lab.runs.select import Run, flat
from lab.tracking.redact import redact

NO_OVERRIDES = ("experiment", "name", "description", "reference", "seed")
MOST_WORDS = 12  # overrides of a command; with more, the file is clearer


def resolved(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the resolved configs of those of the names that are the lab's own experiments.

    This takes seconds, because their classes are imported. Other names are left out, so that a run's folder cannot
    choose what is imported.
    """
    wanted = sorted(set(names) & shipped().keys())
    if not wanted:
        return {}
    from lab.configuration import load

    found = {}
    for name in wanted:
        try:
            found[name] = load(name).as_dict()
        except LabError:  # an extra that it needs is not installed
            continue
    return found


def repeats(run: Run, own: Mapping[str, dict[str, Any]]) -> str | None:
    """Return the command that repeats the run; None where its config can't be read.

    It is the experiment's name with overrides of the lab's own config (`own`, by experiment), or the run's config file
    where these would be too many, or the run is not the user's own.
    """
    if not run.config:
        return None
    tail = ["--fast-dev-run"] if run.record.fast_dev_run else []
    # What somebody else's config says must not come from the user's own hand: overrides may name any class and path.
    known = run.record.mine and run.record.name in own
    words = overrides(run.config, own[run.record.name]) if known else None
    if words is not None and len(words) <= MOST_WORDS:
        return shlex.join(["lab", "run", run.record.name, "--seed", str(run.config.get("seed", 0)), *words, *tail])
    return shlex.join(["lab", "run", near(run.record.dir / "config.yaml"), *tail])


def overrides(config: Mapping[str, Any], own: Mapping[str, Any]) -> list[str] | None:
    """Return the overrides that turn the experiment's own config into `config`, the seed aside; None for another
    experiment."""
    if config.get("experiment") != own.get("experiment"):
        return None
    here, there = flat(redact(config)), flat(own)
    words: dict[str, str] = {}
    replaced: list[str] = []
    for name, value in here.items():
        if name.split(".")[0] in NO_OVERRIDES:
            continue
        known = name in there and not any(name.startswith(f"{other}.") for other in replaced)
        if known and there[name] == value:
            continue
        if value is None and not known:  # of another class, which has it by default; not every null can be typed
            continue
        if known and isinstance(value, str) and "class_path" in _at(config, name):
            replaced.append(name)  # another class: its settings are other ones, whatever they are called
        whole = next((part for part in _prefixes(name) if part in there and not _is_class(own, part)), None)
        if whole and whole not in replaced:  # a place for any keys, such as env.kwargs
            name, value = whole, setting(config, whole)
        words.setdefault(name, f"--{name}={value if isinstance(value, str) else word(value)}")
    emptied = {part for name in there if name not in here for part in _prefixes(name) if part in here}
    for name in sorted(emptied - words.keys()):  # null or {} where the experiment has settings
        if name.split(".")[0] not in NO_OVERRIDES and not _is_class(config, name):
            words[name] = f"--{name}={word(here[name])}"
    return list(words.values())


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _at(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = setting(config, name)
    return found if isinstance(found, Mapping) else {}


def _is_class(config: Mapping[str, Any], name: str) -> bool:
    return "class_path" in _at(config, name)
