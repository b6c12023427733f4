"""Data that a run was trained on and nobody published, own or collected: whether they are there, and still the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.config.files import setting
from lab.data.base import DatasetInfo
from lab.data.catalog import entries
from lab.errors import ConfigError
from lab.runs.summary import Summary

SETTING = "data.path"


def require_place(record: Summary, settings: Mapping[str, Any]) -> None:
    """Raise ConfigError where the user's own data that a run is to be built on are gone.

    Args:
        record: of the run.
        settings: its config, with overrides.
    """
    path = setting(settings, SETTING)
    if _is_own(record) and path and not Path(path).exists():
        raise ConfigError(
            f"the data of {record.run_id} are no longer at {path}; say with --{SETTING}=PATH where they lie now"
        )


def require_same(record: Summary, now: DatasetInfo) -> None:
    """Raise ConfigError where data differ from those that a run was trained on, and are not in the catalog: the user's
    own, or episodes that were collected again with other versions."""
    before = record.dataset.get("sha256")
    if (_is_own(record) or record.dataset["name"] not in entries()) and before and now.sha256 != before:
        raise ConfigError(
            f"{now.path or now.name} does not hold the data that {record.run_id} was trained on: their sha256 was "
            f"{_short(before)}, and now it is {_short(now.sha256)}"
        )


def moved(record: Summary, change: str) -> bool:
    """Whether a change of the config, `name: old -> new`, only says where the user's own data lie now."""
    return _is_own(record) and change.startswith(f"{SETTING}: ")


def _is_own(record: Summary) -> bool:
    return bool(record.dataset.get("path"))


def _short(sha256: str | None) -> str:
    return f"{sha256[:16]}..." if sha256 else "unknown"
