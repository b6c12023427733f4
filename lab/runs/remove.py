"""Removing runs, and nothing but runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import ConfigError, LabError
from lab.runs.folder import NEW, at_work, locked
from lab.runs.select import Run, choose
from lab.system.opening import read_plain

ASIDE = ".removing-"
"""Prefix of the folder that a run is moved to before its files are deleted. If that is interrupted, nothing is left
that looks like a run, and the next removal deletes the rest."""


class RemovalError(LabError):
    """A run could not be removed, or only in part. The rest does not count as a run."""


@dataclass(frozen=True)
class Dependent:
    """A run that needs another run: it was forked from it, or uses its artifact."""

    run: Run
    needs: str
    what: str

    def __str__(self) -> str:
        return f"{self.run.record.run_id} ({self.run.record.name}) has {self.needs} as {self.what}"


def folder_of(run_dir: Path, runs_dir: Path) -> Path:
    """Return the real path of a run's folder. Raises ConfigError unless it lies in the runs folder as runs do."""
    folder = Path(os.path.abspath(run_dir))
    for place in (folder, folder.parent):
        if place.is_symlink():
            raise ConfigError(
                f"{place} is a symbolic link, and what it points to is not removed; remove the link itself"
            )
    real = folder.resolve()
    if real.parent.parent != runs_dir.resolve():
        raise ConfigError(f"{folder} is not a run of {runs_dir}; name its own runs folder with --runs-dir")
    return real


def dependents(ids: Mapping[Path, str], runs_dir: Path) -> list[Dependent]:
    """Return the other runs of the folder that depend on one in `ids` (run ids by real folder): their parent is one of
    these, or their config names a file of one. On a copy of a run that stays, nothing depends."""
    others = [other for other in choose([], runs_dir) if other.record.dir.resolve() not in ids]
    stay = {other.record.dir.name for other in others}
    going = {name: run_id for folder, run_id in ids.items() for name in (run_id, folder.name) if name not in stay}
    found = []
    for other in others:
        parent = (other.record.parent or {}).get("run_id")
        if isinstance(parent, str) and parent in going:
            found.append(Dependent(other, going[parent], "its parent"))
        named = {part for text in _texts(_config(other, going)) for part in Path(text).parts}
        found += [Dependent(other, going[name], "its pretrained encoder") for name in sorted(named & going.keys())]
    return found


def remove(folder: Path, runs_dir: Path) -> None:
    """Remove one run's folder, as `folder_of` returned it.

    Raises ConfigError, with nothing removed, when a process is at work on it; RemovalError when the disk keeps it.
    """
    try:
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=runs_dir))
        try:
            with locked(aside):
                gone = aside / folder.parent.name / folder.name  # one level deeper than runs are looked for
                gone.parent.mkdir()
                with locked(folder):
                    folder.rename(gone)
                shutil.rmtree(gone)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise RemovalError(f"cannot remove {folder}: {error.strerror}") from error
    with suppress(OSError):
        folder.parent.rmdir()  # the experiment's, if that was its last run


def clear_away(runs_dir: Path) -> None:
    """Delete what interrupted removals left, and runs that were killed while their folder was made."""
    for aside in (*runs_dir.glob(f"{ASIDE}*"), *runs_dir.glob(f"{NEW}*")):
        if aside.is_dir() and not aside.is_symlink() and not at_work(aside):
            shutil.rmtree(aside, ignore_errors=True)


def _config(run: Run, names: Mapping[str, str]) -> dict[str, Any]:
    """The run's config if its text contains one of the names: searching text is a hundred times faster than YAML."""
    with suppress(OSError):
        text = read_plain(run.record.dir / "config.yaml", run.record.dir).decode(errors="replace")
        return run.config if any(name in text for name in names) else {}
    return {}


def _texts(value: Any) -> Iterator[str]:
    """All texts inside nested settings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
