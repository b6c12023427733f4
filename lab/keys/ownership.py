"""Whether a run is the user's own as a whole: its summary, its config and its checkpoints are signed for one run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lab.keys.signature import CONFIGS, FIELD, RUN, Kind, config_is_signed, is_signed, print_of_config
from lab.system.opening import read_json, read_plain

UNSIGNED = ""


def is_own(folder: Path) -> bool:
    """Whether the run in a folder is the user's own."""
    try:
        content = read_plain(folder / "config.yaml", folder)
    except OSError:
        return False
    return foreign_part(folder, content) is None


def foreign_part(folder: Path, config: bytes) -> str | None:
    """Return which part of a run is not the user's own or not this run's, as a sentence; None where all is.

    A file that is missing or damaged is not counted: nothing is ever read from it.

    Args:
        folder: of the run, or of a config file that belongs to no run.
        config: bytes of its config. `UNSIGNED` is the answer where these alone are not the user's.
    """
    summary = _fields(folder / "summary.json", folder)
    if summary is None:
        return None if config_is_signed(config) else UNSIGNED
    if (fault := _fault(config, summary)) is not None:
        return fault
    for path in sorted(folder.glob("checkpoints/*/manifest.json")):
        if (values := _fields(path, folder)) is not None and not is_signed_for(summary[RUN], "manifest", values):
            return f"its checkpoint {path.parent.name} is not signed for this run"
    return None


def run_of(folder: Path) -> str | None:
    """Return the id that the summary and the config of a run are signed for, empty where they are not; None for a
    folder that is no run."""
    if not os.path.lexists(folder / "summary.json"):
        return None
    summary = _fields(folder / "summary.json", folder)
    try:
        fault = _fault(read_plain(folder / "config.yaml", folder), summary)
    except OSError:
        return ""
    return summary[RUN] if fault is None else ""


def is_signed_for(run: str | None, kind: Kind, values: Any) -> bool:
    """Whether the fields of JSON bear this user's signature for a certain run."""
    named = values.get(RUN) if isinstance(values, dict) else None
    return named is not None and named == run and is_signed(kind, values)


def _fault(config: bytes, summary: Any) -> str | None:
    """Return why a config and a summary are not the user's own and of one run, as a sentence; None where they are."""
    if not config_is_signed(config):
        return UNSIGNED
    if not isinstance(summary, dict) or not summary.keys() & {FIELD, CONFIGS}:
        return "an earlier version signed it, for no certain run"
    if not is_signed_for(summary.get(RUN), "summary", summary):
        return "its summary was changed"
    return None if print_of_config(config) in summary.get(CONFIGS, ()) else "its summary or its config is another run's"


def _fields(path: Path, run: Path) -> Any:
    """Return what a file of JSON holds; None where it is missing or damaged."""
    try:
        return read_json(path, run)
    except (OSError, ValueError):
        return None
