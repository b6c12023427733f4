"""Signs runs and config files that were not made here, or not with this key, as the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.errors import ConfigError
from lab.keys.key import key, key_file
from lab.keys.signature import RUN, Kind, signed, signed_config
from lab.runs.artifacts import COPIES, FOLDER, seal
from lab.runs.folder import locked, require_no_links
from lab.runs.summary import read_summary
from lab.system.files import write_atomic, write_json
from lab.system.opening import read_json, read_plain


def sign_run(folder: Path) -> None:
    """Sign a run: its config, its summary, the manifests of its checkpoints, and its artifacts, all for the id that its
    summary has. A damaged file is left as it is.

    Raises ConfigError where another process works on it, or nothing can be written.
    """
    require_no_links(folder)
    with locked(folder), _writing(folder):
        require_key()
        run_id = read_summary(folder).run_id
        config = signed_config(read_plain(folder / "config.yaml", folder), run_id)
        for path in sorted(folder.glob("checkpoints/*/manifest.json")):
            _sign_json("manifest", path, run_id)
        for pattern, made_by in ((f"{FOLDER}/*", run_id), ("encoder", run_id), (f"{COPIES}/*", None)):
            for artifact in sorted(folder.glob(pattern)):
                if artifact.is_dir():
                    seal(artifact, made_by)
        _sign_json("summary", folder / "summary.json", run_id)
        write_atomic(folder / "config.yaml", config)


def sign_config(path: Path) -> None:
    """Sign a config file, that of a run for this run. Raises ConfigError where it cannot be read or written."""
    require_key()
    run_id = None
    if path.name == "config.yaml" and (path.parent / "summary.json").exists():
        run_id = read_summary(path.parent).run_id
    with _writing(path):
        write_atomic(path, signed_config(read_plain(path), run_id))


def require_key() -> None:
    """Raise ConfigError where there is no key to sign with."""
    if key() is None:
        raise ConfigError(f"there is no key to sign with, and none can be written to {key_file()}")


def _sign_json(kind: Kind, path: Path, run_id: str) -> None:
    with suppress(ValueError):
        values = read_json(path)
        if isinstance(values, dict):
            write_json(path, signed(kind, {**values, RUN: run_id}))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot sign {path}: {error.strerror}") from error
