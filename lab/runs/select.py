"""Recorded runs: chosen by name, their fields read by dotted names, and grouped by fields."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.config.files import read, setting
from lab.config.roles import Roles, roles_before_0_2
from lab.console.notices import notice
from lab.console.wording import count
from lab.errors import ConfigError, nearest
from lab.keys.ownership import is_own
from lab.runs.cache import Cache
from lab.runs.folder import at_work
from lab.runs.summary import MANY, Summary, local_runs, read_summary, run_folders, scan
from lab.system.disk import disk

Scanned = tuple[Path, Summary | None]
"""A run's folder, and its summary where that can be read."""


FIELDS = {field.name for field in fields(Summary)} - {"metrics"}


@dataclass(frozen=True)
class Run:
    """One recorded run. Reading it executes nothing from its folder.

    Args:
        record: its summary.
        cache: what is remembered of it and others; None where they are few.
    """

    record: Summary
    cache: Cache | None = field(default=None, repr=False, compare=False)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config as plain values; empty where the file is missing, damaged or unreasonably large."""
        return self._read_config() if self.cache is None else self.cache.config(self.record.run_dir, self._read_config)

    @cached_property
    def disk(self) -> int:
        """Bytes that its folder takes."""
        if self.cache is None or self.record.status == "running":
            return disk(self.record.dir)
        return self.cache.size(self.record.run_dir)

    def _read_config(self) -> dict[str, Any]:
        try:
            values = read(self.record.dir / "config.yaml")
        except ConfigError:
            return {}
        return values if _sensible(values) else {}

    @cached_property
    def status(self) -> str:
        """As in the summary, or `killed` for a run that says `running` although no process works on it."""
        gone = self.record.status == "running" and not at_work(self.record.dir)
        return "killed" if gone else self.record.status

    @cached_property
    def roles(self) -> Roles:
        """Which settings are budget, protocol and so on."""
        return Roles.read(self.record.roles) if self.record.roles else roles_before_0_2()

    def value(self, name: str) -> Any:
        """Return a field by name: a metric (`eval/return_mean`), what `lab runs` shows (`experiment`, `status`,
        `verdict`), a field of the summary (`seed`, `durations.train`), or a setting (`agent.gamma`); None where the
        run has none."""
        record = self.record
        if name in record.metrics:
            return record.metrics[name]
        if name in SHOWN:
            return SHOWN[name](self)
        if name.partition(".")[0] in FIELDS:
            return setting(vars(record), name)
        return setting(self.config, name)


SHOWN: dict[str, Callable[[Run], str]] = {
    "experiment": lambda run: run.record.name,
    "run": lambda run: run.record.run_id,
    "status": lambda run: run.status,
    "verdict": lambda run: run.record.verdict,
}
"""What `lab runs` shows under a name of its own."""


def choose(
    names: Sequence[str],
    runs_dir: Path,
    *,
    lenient: bool = False,
    scanned: Sequence[Scanned] | None = None,
    by_folder: bool = False,
) -> list[Run]:
    """Return the runs that `names` mean, oldest first, each once; all runs of the folder for no names.

    A name is a run's folder, its id or the beginning of it, an experiment, or a pattern over experiments and ids with
    `*`, `?` and `[...]`. Raises ConfigError for one that means no run, unless, being `lenient`, it means a damaged one.
    `scanned` is what `scan` yields of the folder, where it is known already. With `by_folder`, ids and experiments are
    the names of folders, not those that summaries claim.
    """
    scanned = list(scan(runs_dir)) if scanned is None else scanned
    there = {folder: record for folder, record in scanned if record is not None}
    cache = Cache(runs_dir) if len(scanned) >= MANY else None
    if not names:
        return [Run(record, cache) for record in there.values()]
    chosen: dict[Path, Summary] = {}
    claims = {at: (at.parent.name, at.name) if by_folder else (one.name, one.run_id) for at, one in there.items()}
    for name in names:
        if lenient and Path(name).absolute() in damaged([name], runs_dir, scanned):
            found = {}
        elif (Path(name) / "summary.json").is_file():
            found = {Path(name).absolute(): read_summary(Path(name).absolute())}
        else:
            exact = {folder: record for folder, record in there.items() if claims[folder][1] == name}
            found = exact or {folder: record for folder, record in there.items() if _means(name, *claims[folder])}
        ruins = [] if found else damaged([name], runs_dir, scanned)
        if ruins and not lenient:
            raise ConfigError(
                f"what {name!r} means is damaged: {ruins[0] / 'summary.json'} cannot be read; `lab runs rm` removes it "
                "with --force"
            )
        if not found and not ruins:
            hint = nearest(name, {claim for both in claims.values() for claim in both}) or "; `lab runs` lists them"
            raise ConfigError(f"no run {name!r} in {runs_dir}{hint}")
        chosen |= found
    return [Run(chosen[folder], cache) for folder in sorted(chosen, key=lambda folder: folder.name)]


def first(count: int, runs_dir: Path) -> tuple[list[Run], int]:
    """Return the first runs of a folder, and how many folders of runs there are. Only these summaries are read."""
    there = [path for path in run_folders(runs_dir) if os.path.isfile(f"{path}/summary.json")]
    found: list[Run] = []
    for path in map(Path, there):
        if len(found) < count:
            with suppress(ConfigError):
                found.append(Run(read_summary(path)))
    return found, len(there)


def damaged(names: Sequence[str], runs_dir: Path, scanned: Sequence[Scanned] | None = None) -> list[Path]:
    """Return the folders of runs whose summary cannot be read, which `choose` leaves out.

    `names` are compared with the names of the folder and of its parent, the experiment; no names mean all runs."""
    there = list(scan(runs_dir) if scanned is None else scanned)
    ruins = sorted(path for path, record in there if record is None)
    if not names:
        return ruins
    same = {*names, *(str(Path(name).absolute()) for name in names)}
    begun = same - {path.name for path, _ in there}  # the whole name of a run means no other one
    return [
        one for one in ruins if {str(one), one.name} & same or any(_means(x, one.parent.name, one.name) for x in begun)
    ]


def find_run(name: str, folder: Path) -> Path:
    """Return a run's folder, given that folder, its id or its beginning, or an experiment (its newest).

    Where the user's own runs and others' claim that name, his own are meant."""
    if (Path(name) / "summary.json").is_file():
        return Path(name).absolute()
    runs = list(local_runs(folder))
    for fits in (is_own_run, lambda run: True):
        named = [run for run in runs if run.name == name]
        if newest := next(filter(fits, reversed(named)), None):
            if newer := len(named) - 1 - named.index(newest):
                notice(f"{count(newer, 'newer run')} of {name} not signed as yours: left out; a run's folder names it")
            return newest.dir
        matching = [run for run in runs if name and run.run_id.startswith(name) and fits(run)]
        if len(matching) > 1:
            ids = ", ".join(run.run_id for run in matching[:5])
            raise ConfigError(f"{len(matching)} runs begin with {name!r}: {ids}")
        if matching:
            return matching[0].dir
    known = [run.run_id for run in runs] + [run.name for run in runs]
    raise ConfigError(f"no run {name!r} in {folder}{nearest(name, known) or '; `lab runs` lists them'}")


def is_own_run(record: Summary) -> bool:
    """Whether a run is the user's own as a whole, not only its summary."""
    return record.mine and is_own(record.dir)


def newest_unfinished(runs: Path) -> Path:
    """Return the newest of the user's own runs in a runs folder that was killed, interrupted or failed. Raises
    ConfigError for none."""
    others = 0
    for record in reversed(list(local_runs(runs))):
        if record.status in ("running", "interrupted", "failed") and not at_work(record.dir):
            if is_own_run(record):
                return record.dir
            others += 1
    left_out = f" of yours, and {count(others, 'run')} not signed as yours, to be named" if others else ""
    raise ConfigError(f"no unfinished run{left_out} in {runs}; `lab runs` lists them all")


def group(
    runs: Iterable[Run], names: Sequence[str], value: Callable[[Run, str], Any] = Run.value
) -> dict[tuple[Any, ...], list[Run]]:
    """Return the runs grouped by their values under `names`, in the order in which the groups first appear."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        values = (value(run, name) for name in names)
        key = tuple(value if isinstance(value, Hashable) else repr(value) for value in values)
        groups.setdefault(key, []).append(run)
    return groups


def _means(name: str, experiment: str, run_id: str) -> bool:
    """Whether `name` is a run's experiment, the beginning of its id, or a pattern for one of the two."""
    if name == experiment or (name and run_id.startswith(name)):
        return True
    return any(fnmatchcase(known, name) for known in (experiment, run_id))


def _sensible(values: Any, most: int = 100_000) -> bool:
    """Whether there are at most so many values in it: a few lines of YAML with aliases can mean billions."""
    waiting, seen = [values], 0
    while waiting and seen <= most:
        one = waiting.pop()
        seen += 1
        waiting += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
    return seen <= most


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names, as the command line takes them.

    `init_args` is left out of the names, and a class path stands under the name of its setting."""
    found: dict[str, Any] = {}
    for name, value in ((str(key), value) for key, value in values.items()):
        if name == "init_args" and not value:
            continue
        inside = prefix if name == "init_args" else (prefix.rstrip(".") if name == "class_path" else prefix + name)
        if (type(value) is dict or isinstance(value, Mapping)) and value:
            found |= flat(value, inside if name == "init_args" else f"{inside}.")
        else:
            found[inside] = value
    return found
