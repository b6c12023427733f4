"""Signs runs and config files that were not made here, or not with this key, as the user's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import ConfigError
from lab.runs.artifacts import FOLDER
from lab.runs.folder import locked, require_no_links
from lab.system.files import write_atomic, write_json
from lab.system.opening import read_plain
from lab.trust.key import key, key_file
from lab.trust.signature import Kind, signed, signed_config

PLACES: tuple[tuple[Kind, str], ...] = (
    ("manifest", "checkpoints/*/manifest.json"),
    *(("artifact", f"{place}/*.json") for place in (f"{FOLDER}/*", "needs/*", "encoder")),
)
"""Signed files of a run besides its config."""


def sign_run(folder: Path) -> None:
    """Sign a run: its config, the manifests of its checkpoints, and its artifacts. A damaged file is left as it is.

    Raises ConfigError where another process works on it, or nothing can be written.
    """
    require_no_links(folder)
    with locked(folder), _writing(folder):
        for kind, pattern in PLACES:
            for path in sorted(folder.glob(pattern)):
                _sign_json(kind, path)
        sign_config(folder / "config.yaml")


def sign_config(path: Path) -> None:
    """Sign a config file. Raises ConfigError where it cannot be read or written."""
    if key() is None:
        raise ConfigError(f"there is no key to sign with, and none can be written to {key_file()}")
    with _writing(path):
        write_atomic(path, signed_config(read_plain(path)))


def _sign_json(kind: Kind, path: Path) -> None:
    try:
        values = json.loads(read_plain(path))
    except (ValueError, RecursionError):
        return
    if isinstance(values, dict):
        write_json(path, signed(kind, values))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot sign {path}: {error.strerror}") from error
