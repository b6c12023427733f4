"""The private folder of several runs: their configs, which their children read, and their logs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection
from pathlib import Path

from lab.config.values import dump
from lab.configuration import Config, load
from lab.errors import ConfigError
from lab.keys.signature import signed_config
from lab.saving.surroundings import differences
from lab.seeds.vary import SEED, Settings, named


def scratch() -> Path:
    """Make a folder for the runs' logs that only this user can read."""
    try:
        return Path(tempfile.mkdtemp(prefix="lab-seeds-"))
    except OSError as error:
        where = error.filename or "a temporary folder"  # with a name where there is one that cannot be written to
        raise ConfigError(f"cannot write to {where}: {error.strerror}; TMPDIR chooses another") from error


def tidy(place: Path, keep: Collection[Path]) -> None:
    """Remove all but the logs that were named, and the folder if there are none."""
    for path in place.iterdir():
        if path not in keep:
            path.unlink()
    if not any(place.iterdir()):
        place.rmdir()


def pinned(config: Config, path: Path) -> Path:
    """Write the resolved config for the children, signed, for it is checked: the user's file may change meanwhile.

    Raises ConfigError where the config cannot be repeated from a file.
    """
    path.write_bytes(signed_config(dump(config.as_dict()).encode()))
    if lost := list(differences(config.as_dict(), load(str(path), trust=True).as_dict())):
        raise ConfigError(f"this config does not come back from a file: {'; '.join(lost)}; start each run by itself")
    return path


def log_name(settings: Settings, number: int) -> str:
    """`seed-0.log`; where other settings vary too, which may look alike in a name, with the run's number before it."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", named(settings))[:100]
    return f"{plain}.log" if set(settings) == {SEED} else f"{number}-{plain}.log"
