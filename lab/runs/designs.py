"""What makes two runs repeats of one experiment: the method, how long it trains, and how it is measured."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from functools import lru_cache
from typing import Any

from lab.config.imports import present_name
from lab.console.wording import shown
from lab.runs.readings import number, seed_of
from lab.runs.select import Run, flat

HASH = "data hash"
REFERENCE = tuple(f"reference.{name}" for name in ("metric", "value", "direction", "tolerance"))
"""Parts of the protocol beside the settings of that role."""

MOST_NAMED = 3
"""Settings by which a run is called, seeds and folds aside."""

Settings = tuple[tuple[str, Any], ...]


def design(run: Run) -> Settings:
    """Return the method: all settings without a role, in alphabetical order.

    Null counts as absent, because early config files leave nulls out. So does a setting of a later version whose value
    means the same as its absence. A class counts under its present name.
    """
    found: Settings | None = vars(run).get("design")
    if found is None:  # it is asked for often, and kept as a cached property would be
        found = vars(run)["design"] = _design(run)
    return found


def _design(run: Run) -> Settings:
    roles = run.roles
    left_out = {*roles.repeats, *roles.budget, *roles.measuring, *roles.indifferent}
    if all(run.value(name) is None for name in roles.stops):
        left_out |= {*roles.watching}
    settings = {name: value for name, value in flat(run.config).items() if not _under(name, left_out)}
    told = [(name, _said(value)) for name, value in settings.items() if value not in (None, roles.added.get(name))]
    return tuple(sorted(told))


def budget(run: Run) -> Settings:
    """Return how long the run was to train."""
    return tuple((name, value) for name in run.roles.budget if (value := number(run.value(name))) is not None)


def protocol(run: Run) -> Settings:
    """Return how the run was measured: its settings, the data's hash, the published figure with its metric, and by what
    it is repeated beside the seed. A test on one fold of several is another one than that on the published split."""
    names = (*run.roles.measuring, HASH, *REFERENCE)
    told = tuple((name, str(value)) for name in names if (value := measured(run, name)) is not None)
    return told + tuple((name, "each") for name, _ in repeat(run)[1:])


def measured(run: Run, name: str) -> Any:
    """Return one part of how the run was measured: a setting, `HASH`, or one of `REFERENCE`; None where it has none."""
    if name == HASH:
        return str(run.record.dataset.get("sha256") or "")[:12] or None
    if name in REFERENCE:
        return run.record.reference.get(name.partition(".")[2])
    return run.value(name)


def repeat(run: Run) -> Settings:
    """Return which repeat of its experiment the run is: its seed, and the other settings of that role, as a fold."""
    found: Settings | None = vars(run).get("repeat")
    if found is None:
        others = [(name, run.value(name)) for name in run.roles.repeats if name != "seed"]
        told = ((name, _sortable(value)) for name, value in others if value is not None)
        found = vars(run)["repeat"] = (("seed", seed_of(run)), *told)
    return found


def varied(runs: Iterable[Run]) -> tuple[str, ...]:
    """Return the settings that tell these runs apart: seeds, folds and the like, then the first of the other settings
    in which they differ. A setting that they all share is none of them. Where nothing differs, it is the seed."""
    runs = list(runs)
    repeats = [dict(repeat(run)) for run in runs]
    names = dict.fromkeys(name for one in repeats for name in one)
    found = [name for name in names if len({repr(one.get(name)) for one in repeats}) > 1]
    if len({kind(run) for run in runs}) > 1:
        others = [name for name in differing(runs) if name not in {HASH, *REFERENCE, *names}]
        found += others[:MOST_NAMED]
    return tuple(found) or ("seed",)


def called(run: Run, names: Iterable[str]) -> str:
    """Return what a run has under these settings, in words: `seed 0`, or `seed 0, fold 3`."""
    values = ((name, seed_of(run) if name == "seed" else run.value(name)) for name in names)
    return ", ".join(f"{short_name(name)} {shown('none' if value is None else value)}" for name, value in values)


def short_name(setting: str) -> str:
    """Return the last part of a setting's name, which stands before its value."""
    return setting.rpartition(".")[2]


def by_repeat(run: Run) -> tuple[Any, ...]:
    """Return what runs of a group are sorted by: seed, fold, age."""
    values = (found for _, found in repeat(run))
    which = tuple((0, found, "") if isinstance(found, int | float) else (1, 0, found) for found in values)
    return which, run.record.run_id


def kind(run: Run) -> tuple[Settings, ...]:
    """Return what is the same in runs that only differ in their seeds, folds and machines."""
    found: tuple[Settings, ...] | None = vars(run).get("kind")
    if found is None:
        found = vars(run)["kind"] = (design(run), budget(run), protocol(run))
    return found


def differing(runs: Iterable[Run]) -> list[str]:
    """Return the names of the settings of method, budget and protocol in which the runs differ."""
    everything = [dict((*design(run), *budget(run), *protocol(run))) for run in runs]
    names = dict.fromkeys(name for settings in everything for name in settings)
    return [name for name in names if len({repr(settings.get(name)) for settings in everything}) > 1]


def _said(value: Any) -> str:
    """The value as text: the same for equal values, and for a class under its present name."""
    kind = type(value)
    if kind is str:
        return _text_said(value)
    if kind is int or kind is float:
        return repr(value)  # as JSON has it
    return json.dumps(value, sort_keys=True, default=str)


@lru_cache(10_000)
def _text_said(value: str) -> str:
    return json.dumps(present_name(value) if "." in value else value)


def _sortable(value: Any) -> Any:
    """The value, or its text where it is a list or the like: repeats are sorted and compared."""
    return value if isinstance(value, int | float | str) else repr(value)


def _under(name: str, names: Container[str]) -> bool:
    """Whether a dotted name, or a group that it is in, is among the names."""
    while name:
        if name in names:
            return True
        name = name.rpartition(".")[0]
    return False
