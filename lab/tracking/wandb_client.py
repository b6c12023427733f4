"""Calls of the W&B client: a run is started, and a file of the run folder is wrapped as media."""

from __future__ import annotations

import html
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.system.opening import read_plain
from lab.tracking.destination import project, sweeping

BEGINNINGS = {".png": b"\x89PNG", ".jpg": b"\xff\xd8", ".gif": b"GIF8", ".wav": b"RIFF", ".txt": b""}
"""First bytes of each kind of media, by the ending of the file's name."""
MOST_MEDIA = 2**30
"""Bytes of a film."""


def start_run(
    folder: Path,
    name: str,
    run_id: str,
    config: Mapping[str, Any],
    mode: str,
    trial: Mapping[str, Any],
    timeouts: tuple[float, float],
) -> Any:
    """Start a W&B run, or go on with it.

    Args:
        folder: the run folder.
        name: of the experiment; the group on W&B.
        run_id: its id and name on W&B.
        config: of the run, without secrets.
        mode: `online` or `offline`.
        trial: ids of the sweep's trial; empty for a run of its own.
        timeouts: seconds to wait at the start, and for the last upload.
    """
    import wandb

    settings = {
        "reinit": "create_new",  # a run of the user's own in this process goes on
        "silent": True,
        "console": "off",
        "x_disable_stats": True,
        "x_disable_meta": True,
        "x_disable_machine_info": True,
        "x_save_requirements": False,  # takes as long as a small network's training; the summary has the versions
        "host": "",
        "program": "lab",  # the default is its path on this machine
        "x_transaction_log_flush_interval": 1,
        "save_code": False,
        "init_timeout": timeouts[0],
        "finish_timeout": timeouts[1],
        "finish_timeout_raises": True,  # the default treats rows that were never sent as sent
    }
    os.environ["WANDB_MODE"] = mode  # with the setting alone it would still look up the server's address
    os.environ["WANDB_DISABLE_GIT"] = "true"  # and still start git, which the lab does itself (lab/tracking/commit.py)
    with _logging_in_silence(), own_settings(), _without_launch():
        return wandb.init(
            project=None if sweeping() else project(),  # wandb uses the sweep's own and accepts no other
            id=None if sweeping() else trial.get("id", run_id),
            name=run_id,
            group=name,
            config=dict(config),
            dir=folder,
            mode=mode,  # type: ignore[arg-type]
            resume="allow",
            settings=wandb.Settings(**settings, sweep_id=trial.get("sweep")),
        )


def tear_down() -> None:
    """End the helper process of the client, unless the user has a run of his own in this process."""
    import wandb

    if wandb.run is None:
        wandb.teardown()


@contextmanager
def own_settings() -> Iterator[None]:
    """Inside the block, the client that is set up reads the user's settings alone, and a run that is started has the
    config that it is given alone. The working directory may be somebody else's: its `wandb/settings` names the server
    that the user's key is sent to, and what its `config-defaults.yaml` says would be added to the config.

    No setting or variable of the client says so. It reads the first file before variables, and before the settings
    given to `wandb.setup`.
    """
    import wandb
    from wandb.sdk.wandb_config import Config

    whole, defaults = wandb.Settings.settings_workspace, Config._load_defaults
    wandb.Settings.settings_workspace = property(lambda self: os.devnull)
    Config._load_defaults = lambda self: None
    try:
        yield
    finally:
        wandb.Settings.settings_workspace, Config._load_defaults = whole, defaults


@contextmanager
def _logging_in_silence() -> Iterator[None]:
    """Let log files that the client opens inside the block never print an error: on a full disk each line would be a
    traceback."""
    logger = logging.getLogger("wandb")

    def add(handler: logging.Handler) -> None:
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        logging.Logger.addHandler(logger, handler)

    logger.addHandler = add  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del logger.addHandler


@contextmanager
def _without_launch() -> Iterator[None]:
    """Let a run that is started inside the block not look for inputs of W&B Launch: it would import all of that, half
    of the time of a start. Who has staged some has imported it already, and they are applied."""
    from wandb.sdk.wandb_run import Run

    if "wandb.sdk.launch" in sys.modules:
        yield
        return
    whole = Run._detect_and_apply_job_inputs
    Run._detect_and_apply_job_inputs = lambda self: None
    try:
        yield
    finally:
        Run._detect_and_apply_job_inputs = whole


def copy_of_media(path: Path, folder: Path, place: Path) -> Path | None:
    """Return a copy of a picture, film, sound or text of a run, in the folder `place`; None for any other file, and for
    a link: the run may be somebody else's, who may exchange the file once it was looked at.

    A file that is called a picture and is something else would be read by a program that the library chooses.
    """
    try:
        content = read_plain(path, folder, MOST_MEDIA)
    except OSError:
        return None
    if not content.startswith(BEGINNINGS.get(path.suffix, ())):
        return None
    copy = place / path.name
    copy.write_bytes(content)
    return copy


def as_media(path: Path) -> Any:
    """Return a picture, film, sound or text as W&B takes it."""
    import wandb

    if path.suffix == ".gif":
        return wandb.Video(str(path), format="gif")
    if path.suffix == ".wav":
        return wandb.Audio(str(path))
    if path.suffix == ".txt":
        text = html.escape(path.read_text(encoding="utf-8", errors="replace"))
        return wandb.Html(f"<pre style='white-space: pre-wrap'>{text}</pre>", inject=False, data_is_not_path=True)
    return wandb.Image(str(path))
