"""Signs runs and config files that were not made here, or not with this key, as the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lab.errors import ConfigError
from lab.keys.key import key, key_file
from lab.keys.signature import CONFIGS, RUN, Kind, is_signed, print_of_config, signed, signed_config
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
        config = signed_config(read_plain(folder / "config.yaml", folder))
        for path in sorted(folder.glob("checkpoints/*/manifest.json")):
            _sign_json("manifest", path, {RUN: run_id})
        for pattern, made_by in ((f"{FOLDER}/*", run_id), ("encoder", run_id), (f"{COPIES}/*", None)):
            for artifact in sorted(folder.glob(pattern)):
                if artifact.is_dir():
                    seal(artifact, made_by)
        _sign_json("summary", folder / "summary.json", {RUN: run_id, CONFIGS: [print_of_config(config)]})
        write_atomic(folder / "config.yaml", config)


def sign_config(path: Path) -> None:
    """Sign a config file, and in the summary of its run, if that is signed, that it is this run's. Raises ConfigError
    where it cannot be read or written."""
    require_key()
    with _writing(path):
        content = signed_config(read_plain(path))
        if path.name == "config.yaml":
            with suppress(FileNotFoundError):
                _sign_json("summary", path.parent / "summary.json", {CONFIGS: [print_of_config(content)]}, anew=False)
        write_atomic(path, content)


def require_key() -> None:
    """Raise ConfigError where there is no key to sign with."""
    if key() is None:
        raise ConfigError(f"there is no key to sign with, and none can be written to {key_file()}")


def _sign_json(kind: Kind, path: Path, bound: Mapping[str, Any], *, anew: bool = True) -> None:
    with suppress(ValueError):
        values = read_json(path)
        if isinstance(values, dict) and (anew or is_signed(kind, values)):
            write_json(path, signed(kind, {**values, **bound}))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot sign {path}: {error.strerror}") from error
