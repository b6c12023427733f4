"""What a run needs: artifacts of other runs, and data sets that a command makes. Both are looked for before anything is
built.

Artifacts are copied into the run's folder, which makes it self-contained: the run can be resumed and evaluated when the
other run is gone. Data sets stay where they are, as downloads do; the run records their hash.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

from lab.config.classes import types_of
from lab.config.files import setting
from lab.config.imports import import_class
from lab.config.types import Collected, FromRun
from lab.configuration import Config
from lab.console.notices import notice
from lab.console.wording import near, some, word
from lab.data.collected import folder_of, recipe_of, rehearsed, require_made
from lab.errors import ConfigError, nearest
from lab.runs.artifacts import COPIES, artifact_at, is_whole
from lab.runs.select import is_own_run
from lab.runs.summary import Summary, local_runs, read_summary
from lab.system.opening import NO_LINK, copy_plain, is_plain, unshare

USED_BY = "used_by.jsonl"
ID = re.compile(r"\d{8}-\d{6}-s\d+-[0-9a-f]{4}")
"""Of a run. What a stranger's summary gives as its id may be the name of an experiment."""


@dataclass(frozen=True)
class Need:
    """A setting whose value is an artifact.

    Args:
        place: dotted name of the setting in the parsed config, with `init_args`.
        key: dotted name of the setting on the command line.
        wanted: its value.
        folder: of the artifact.
        source: the run that made it; None if it is not in a run's folder.
    """

    place: str
    key: str
    wanted: FromRun | str
    folder: Path
    source: Summary | None

    @property
    def lineage(self) -> dict[str, Any]:
        """What the run's summary records about it."""
        source = self.source
        return {
            "setting": self.key,
            "name": self.wanted.name if isinstance(self.wanted, FromRun) else self.folder.name,
            "run_id": source.run_id if source else None,
            "experiment": source.name if source else None,
        }


class MissingArtifactError(ConfigError):
    """No completed run has the artifact.

    Args:
        experiment: that makes it; None where a certain run was named, which does not have it.
    """

    def __init__(self, message: str, experiment: str | None) -> None:
        super().__init__(message)
        self.experiment = experiment


def needs_of(
    config: Config, runs: Path, *, own: Path | None = None, fast_dev_run: bool = False, trust: bool | None = None
) -> list[Need]:
    """Return the artifacts that a config needs, from the runs folder `runs`.

    Args:
        own: folder of the run itself if it exists already; then the copies in it are used.
        fast_dev_run: whether artifacts of fast-dev runs are accepted.
        trust: whether the newest run of an experiment may be somebody else's. None: not for a config of the user's, who
            can name such a run by its folder or id.

    Raises MissingArtifactError if there is no such artifact, ConfigError where somebody else's config names one outside
    his folder of runs.
    """
    anybodys = bool(trust) or config.stranger is not None
    needs = [_find(place, value, runs, own, fast_dev_run, anybodys) for place, value in _settings(config, FromRun)]
    for need in needs:
        if config.stranger:
            config.stranger.require_artifact(need.key, need.folder, runs if isinstance(need.wanted, FromRun) else None)
    return needs


def require_collected(config: Config, *, fast_dev_run: bool = False) -> None:
    """Raise MissingDataError where a data set that a command makes is not there. One whose files the config names by
    `path`, beside it, is not needed. A fast-dev run takes one of a fast-dev run where there is no other."""
    for place, value in list(_settings(config, Collected)):
        beside = setting(config.as_dict(), place.replace(".init_args", "").rpartition(".")[0])
        given, wanted = beside.get("init_args", beside), Collected(**value)
        if given.get("path"):
            continue
        if fast_dev_run and not folder_of(wanted).exists() and folder_of(rehearsed(wanted)).exists():
            config.record(f"{place}.name", rehearsed(wanted).name)
            config.instantiate({})
        else:
            require_made(wanted, hint=", or add --make-needed")


def collect(wanted: Collected, runs: Path, *, fast_dev_run: bool) -> None:
    """Make a data set. Raises MissingArtifactError where it needs an agent that no run has; for a fast-dev run that of
    another one may act."""
    try:
        recipe_of(wanted).make(folder_of(wanted), runs)
    except MissingArtifactError:
        if not fast_dev_run:
            raise
        recipe_of(wanted).make(folder_of(rehearsed(wanted)), runs, fast_dev_run=True)


def pin(config: Config, needs: Sequence[Need]) -> None:
    """Let the recorded config name the runs that were found by their ids."""
    for need in needs:
        if isinstance(need.wanted, FromRun) and need.source is not None:
            config.record(f"{need.place}.run", need.source.run_id)


def provide(config: Config, needs: Sequence[Need]) -> None:
    """Use the artifacts' folders when the config is built. The recorded config names the runs by their ids instead."""
    pin(config, needs)
    if needs:
        config.instantiate({need.place: str(need.folder) for need in needs})


def keep_copies(needs: Sequence[Need], record: Summary, folder: Path, *, tell: bool = True) -> None:
    """Copy the artifacts into `folder`, which becomes the run's; with `tell`, record in the runs that made them that
    this run uses them."""
    for need in needs:
        copy = folder / COPIES / need.key
        if copy != need.folder:
            copy.mkdir(parents=True)
            for found in need.folder.iterdir():
                if is_plain(found, need.folder):  # somebody else's link may point to a private file
                    copy_plain(found, need.folder, copy / found.name)
        record.needs.append(need.lineage)
        if tell and need.source is not None:
            line = json.dumps({"run_id": record.run_id, "experiment": record.name, "name": need.lineage["name"]})
            with suppress(OSError):  # the other run may be read-only; this one has the lineage too
                _append(need.source.dir / USED_BY, line + "\n")


def _append(path: Path, line: str) -> None:
    """Add a line to a file, and to none that has its bytes too. Raises OSError for a link: the run may be somebody
    else's."""
    unshare(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK | os.O_NONBLOCK, 0o666)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(line)


def _settings(config: Config, kind: type) -> Iterator[tuple[str, Any]]:
    """Yield (place, value) of every setting whose type is `kind`, or may be."""

    def walk(values: Any, owner: Any, place: str) -> Iterator[tuple[str, Any]]:
        if not isinstance(values, Mapping):
            return
        if isinstance(values.get("class_path"), str):
            owner, values = import_class(values["class_path"], place), values.get("init_args") or {}
            place = f"{place}.init_args"
        types = types_of(owner)
        for name, value in values.items():
            inner, alternatives = f"{place}.{name}".lstrip("."), types.get(name, ())
            if kind in alternatives and value is not None:
                yield inner, value
            else:
                yield from walk(value, next(filter(is_dataclass, alternatives), None), inner)

    yield from walk(config.as_dict(), config.experiment, "")


def _find(place: str, value: Any, runs: Path, own: Path | None, fast_dev_run: bool, anybodys: bool) -> Need:
    key = place.replace(".init_args", "")
    wanted: FromRun | str = FromRun(**value) if isinstance(value, Mapping) else str(value)
    copy = own / COPIES / key if own else None
    if isinstance(wanted, str):
        folder = copy if copy and copy.is_dir() else artifact_at(Path(wanted), FromRun.name) or Path(wanted)
        return Need(place, key, wanted, folder, _made_by(folder))
    found = _runs(wanted.run, runs)
    if copy and copy.is_dir():
        return Need(place, key, wanted, copy, found[-1] if found else None)
    finished = [run for run in found if run.status == "completed" and (fast_dev_run or not run.fast_dev_run)]
    having = [(run, there) for run in reversed(finished) if (there := artifact_at(run.dir, wanted.name))]
    strange: list[str] = []
    for run, there in having:
        if anybodys or (is_own_run(run) and is_whole(there)):
            if strange:
                notice(f"{key}: left out, because not signed as yours: {some(strange)}")
            return Need(place, key, wanted, there, run)
        strange.append(near(run.dir))
    if having and (Path(wanted.run).is_dir() or ID.fullmatch(wanted.run)):  # the user means this one
        notice(f"{key} takes the artifact {wanted.name!r} of {strange[0]}, which is not signed as yours")
        return Need(place, key, wanted, having[0][1], having[0][0])
    if any(wanted.run != run.name for run in found) and not _is_file(wanted.run):  # a certain run was named
        why = "is not complete" if found[0].status != "completed" else f"has no artifact {wanted.name!r}"
        raise MissingArtifactError(f"{key}: the run {wanted.run} {why}", None)
    hint = nearest(wanted.run, {run.name for run in local_runs(runs)}) if not found else ""
    signing = f"; not signed as yours, and so left out: {some(strange)} (`lab trust RUN` signs one)" if strange else ""
    raise MissingArtifactError(
        f"{key} needs the artifact {wanted.name!r} of a completed run of {wanted.run}, and there is none in "
        f"{runs}{hint}{signing}; `lab run {word(wanted.run)}` makes it",
        wanted.run,
    )


def _runs(name: str, runs: Path) -> list[Summary]:
    """Return the runs that `name` means, oldest first: a folder, an id, or all runs of an experiment or YAML file."""
    if (Path(name) / "summary.json").is_file():
        return [read_summary(Path(name).absolute())]
    experiment = Path(name).stem if _is_file(name) else name
    return [run for run in local_runs(runs) if run.run_id == name or run.name == experiment]


def _is_file(name: str) -> bool:
    """Whether `name` is the file of an experiment."""
    return name.endswith((".yaml", ".yml"))


def _made_by(folder: Path) -> Summary | None:
    for above in folder.absolute().parents[:2]:
        with suppress(ConfigError):
            return read_summary(above)
    return None
