"""Whose a config file is: one's own, or somebody else's, who may have sent a folder of runs."""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path

from lab.config.imports import within_run
from lab.runs.summary import runs_folder
from lab.system.opening import read_plain
from lab.trust.signature import config_is_signed, is_signed

LOOKED_AT = 1_000  # entries of a folder
PARTS = ("checkpoints", "metrics.jsonl", "media.jsonl", "artifacts", "needs")
"""What a run's folder has beside its config, where its summary is missing."""


def is_strangers(path: Path, content: bytes) -> bool:
    """Whether a config file may be somebody else's: it belongs to a run, or lies among runs, and is not signed.

    The config of a run whose checkpoints are not all signed is somebody else's too: he may have put it there.

    Args:
        path: of the file, as it was named.
        content: its bytes.
    """
    if not any(_lies_among_runs(place) for place in {path.absolute(), path.resolve()}):
        return False
    return not config_is_signed(content) or any(map(_is_unsigned, path.parent.glob("checkpoints/*/manifest.json")))


def _lies_among_runs(path: Path) -> bool:
    folder, here = path.parent, Path.cwd()
    if within_run(path) or folder.is_relative_to(runs_folder()):
        return True
    if path.name == "config.yaml" and any(os.path.lexists(folder / name) for name in PARTS):
        return True
    if not here.is_relative_to(folder) and any(map(_is_run, _folders(folder))):  # received runs may lie in one's own
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


def _is_run(folder: Path) -> bool:
    return os.path.lexists(folder / "summary.json")


def _is_unsigned(manifest: Path) -> bool:
    """Whether a manifest is whole and bears no signature. A damaged one is never loaded."""
    try:
        values = json.loads(read_plain(manifest, manifest.parents[2]))
    except (OSError, ValueError, RecursionError):
        return False
    return not (isinstance(values, dict) and is_signed("manifest", values))
