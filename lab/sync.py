"""Sending offline runs to W&B: the history is rebuilt from the journal, so that no row appears twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from lab.config_files import read
from lab.errors import LabError
from lab.files import write_json
from lab.run_folder import MARK, at_work, locked
from lab.summary import Summary, local_runs, read_summary
from lab.tracking import Journal, WandbFollower


class SyncError(LabError):
    """W&B did not take the run. Nothing is lost, and another `lab sync` goes on where this one ended."""


def sync(folder: Path, *, mode: str = "online") -> str | None:
    """Send a finished run's rows, pictures, config and summary under its own id; return its address.

    What the server has already is not sent again. W&B's own offline folders stay as they are and are not used: a run
    that was resumed has several, with rows in common. `mode="offline"` writes one anew instead of sending.
    Raises SyncError when W&B does not take it all.
    """
    with locked(folder):
        record = read_summary(folder)
        journal = Journal(folder)
        journal.finish({})
        follower = WandbFollower(
            folder,
            name=record.name,
            run_id=record.run_id,
            config=read(folder / "config.yaml"),
            mode=mode,
            sent=journal.rows,
            only_catch_up=True,
        )
        follower.finish(asdict(record))
        if follower.problem:
            raise SyncError(f"{folder} was not sent: {follower.problem}")
        if mode == "online":
            write_json(folder / "wandb" / MARK, {"url": follower.address})
            record.wandb = {"mode": mode, "url": follower.address, "problem": None}
            record.write()
    return follower.address


def unsent(runs: Path) -> Iterator[Summary]:
    """Yield the ended runs that W&B does not have, oldest first."""
    for record in local_runs(runs):
        offline = (record.wandb or {}).get("mode") == "offline" or (record.wandb or {}).get("problem")
        if (
            offline
            and not record.fast_dev_run
            and not (record.dir / "wandb" / MARK).exists()
            and not at_work(record.dir)
        ):
            yield record
