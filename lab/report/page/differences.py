"""Settings that differ between the groups of a task, and between the runs of a group."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from lab.report.display import NONE
from lab.report.material import Task
from lab.runs.groups import Group
from lab.runs.select import Run, flat
from lab.tracking.redact import redact

SHOWN_ELSEWHERE = ("seed", "name", "description", "reference")
LONGEST = 200  # characters of a value


@dataclass(frozen=True)
class Difference:
    """One setting, and its value in each column; None where the column has no such setting."""

    name: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Differences:
    """Settings that differ between columns: `common` ones that every column has, and those that only some have."""

    columns: tuple[Any, ...]
    common: tuple[Difference, ...]
    partial: tuple[Difference, ...]


def settings_of(run: Run) -> dict[str, str]:
    """Return a run's config by dotted names, as texts, without nulls and with what looks like a secret blanked."""
    return {name: said(value) for name, value in flat(redact(run.config)).items() if value is not None}


def between_groups(task: Task, settings: Mapping[int, Mapping[str, str]]) -> Differences | None:
    """Return what differs between a task's groups; None for nothing. A group whose runs disagree shows all values.

    `settings` are those of the runs that the page shows, by the `id` of each.
    """
    return _differences(task.groups, [_of_group(group, settings) for group in task.groups])


def between_runs(group: Group, settings: Mapping[int, Mapping[str, str]]) -> Differences | None:
    """Return what differs between a group's runs, besides their seeds; None for nothing."""
    runs = [run for run in group.runs if id(run) in settings]
    return _differences(runs, [settings[id(run)] for run in runs])


def said(value: Any) -> str:
    """Return a setting's value as the command line takes it, shortened where it is very long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _differences(columns: Sequence[Any], settings: Sequence[Mapping[str, str]]) -> Differences | None:
    names = [name for name in dict.fromkeys(chain(*settings)) if name.split(".")[0] not in SHOWN_ELSEWHERE]
    rows = [Difference(name, tuple(one.get(name) for one in settings)) for name in names]
    differing = [row for row in rows if len(set(row.values)) > 1]
    common = tuple(row for row in differing if None not in row.values)
    partial = tuple(row for row in differing if None in row.values)
    return Differences(tuple(columns), common, partial) if differing else None


def _of_group(group: Group, settings: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    runs = [settings[id(run)] for run in group.runs if id(run) in settings and run.config]
    names = dict.fromkeys(name for one in runs for name in one)
    return {name: _together(one.get(name) for one in runs) for name in names}


def _together(values: Iterable[str | None]) -> str:
    different = list(dict.fromkeys(NONE if value is None else value for value in values))
    return different[0] if len(different) == 1 else " or ".join(different[:4]) + (" or …" if len(different) > 4 else "")
