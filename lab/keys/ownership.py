"""Whether a run is the user's own as a whole: its config, its summary and its checkpoints are signed for one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.keys.signature import RUN, Kind, config_is_signed, is_signed, run_of_config
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
    if not config_is_signed(config):
        return UNSIGNED
    run = run_of_config(config)
    summary = _fields(folder / "summary.json", folder)
    manifests = sorted(folder.glob("checkpoints/*/manifest.json"))
    if run is None:
        return "an earlier version signed it, for no certain run" if summary is not None or manifests else None
    if summary is not None and not is_signed_for(run, "summary", summary):
        return "its summary was changed, or is another run's"
    for path in manifests:
        if (values := _fields(path, folder)) is not None and not is_signed_for(run, "manifest", values):
            return f"its checkpoint {path.parent.name} is not signed for this run"
    return None


def is_signed_for(run: str | None, kind: Kind, values: Any) -> bool:
    """Whether the fields of JSON bear this user's signature for a certain run."""
    named = values.get(RUN) if isinstance(values, dict) else None
    return named is not None and named == run and is_signed(kind, values)


def _fields(path: Path, run: Path) -> Any:
    """Return what a file of JSON holds; None where it is missing or damaged."""
    try:
        return read_json(path, run)
    except (OSError, ValueError):
        return None
