"""Whose a config file is: one's own, or somebody else's, who may have sent a folder of runs."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from lab.errors import ConfigError
from lab.finders.modules import within_run
from lab.keys.ownership import foreign_part
from lab.keys.signature import config_is_signed
from lab.runs.summary import read_summary, runs_folder
from lab.system.opening import read_plain

LOOKED_AT = 1_000  # entries of a folder
PARTS = ("checkpoints", "metrics.jsonl", "media.jsonl", "artifacts", "needs")
"""What a run's folder has beside its config, where its summary is missing."""


def is_strangers(path: Path, content: bytes) -> bool:
    """Whether a config file may be somebody else's: it belongs to a run, or lies among runs, and is not signed.

    The config of a run whose summary and checkpoints are not all signed for the run that it is signed for is somebody
    else's too: he may have put it there.

    Args:
        path: of the file, as it was named.
        content: its bytes.
    """
    if not any(_lies_among_runs(place) for place in {path.absolute(), path.resolve()}):
        return False
    of_runs = {place.parent for place in (path.absolute(), path.resolve()) if place.name == "config.yaml"}
    return not config_is_signed(content) or any(foreign_part(run, content) is not None for run in of_runs)


def in_detail(path: Path) -> str:
    """Return in brackets what of a run is not the user's own, where its config is; else nothing."""
    try:
        part = foreign_part(path.parent, read_plain(path))
    except OSError:
        return ""
    return f" ({part})" if part else ""


def _lies_among_runs(path: Path) -> bool:
    folder, here = path.parent, Path.cwd()
    if within_run(path) or folder.is_relative_to(runs_folder()):
        return True
    if path.name == "config.yaml" and any(os.path.lexists(folder / name) for name in PARTS):
        return True
    beside = [one for one in _folders(folder) if _is_run(one)]
    # Received runs may lie in the working directory, beside files of one's own, unless that is an experiment's folder.
    if beside and (not here.is_relative_to(folder) or any(_experiment_of(one) == folder.name for one in beside)):
        return True
    above = [folder] if here.is_relative_to(folder) else [folder, folder.parent]
    return any(_is_run(run) for place in above for experiment in _folders(place) for run in _folders(experiment))


def _folders(place: Path) -> list[Path]:
    """Return the folders in a folder; of many, the first."""
    try:
        with os.scandir(place) as entries:
            return [Path(entry.path) for entry in islice(entries, LOOKED_AT) if entry.is_dir()]
    except OSError:
        return []


def _experiment_of(run: Path) -> str:
    """Return the name of the experiment as the run's summary has it; empty where it cannot be read."""
    try:
        return read_summary(run).name
    except ConfigError:
        return ""


def _is_run(folder: Path) -> bool:
    return os.path.lexists(folder / "summary.json")
