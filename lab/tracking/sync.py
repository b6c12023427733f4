"""Sends recorded runs to W&B. The history is rebuilt from the journal, so that no row is sent twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from lab.config.files import read
from lab.errors import ConfigError, LabError
from lab.runs.folder import MARK, at_work, locked, require_no_links
from lab.runs.select import is_own_run
from lab.runs.summary import Summary, read_summary
from lab.system.files import write_json
from lab.tracking import WandbFollower
from lab.tracking.destination import others_id
from lab.tracking.journal import read_in_order


class SyncError(LabError):
    """W&B did not accept the run. Nothing is lost; the next `lab sync` continues where this one stopped."""


def sync(folder: Path, *, mode: str = "online", trust: bool | None = None) -> str | None:
    """Send a finished run's rows, pictures, config and summary under its own id, and return its URL.

    Somebody else's run gets a new id, always the same, unless `trust` takes it for the user's own: its summary could
    give the id of one of his. Rows that the server already has are not sent again. W&B's own offline folders are not
    used, because a resumed run has several with rows in common. `mode="offline"` writes a new offline folder instead
    of sending.
    Raises SyncError when W&B does not accept everything.
    """
    with locked(folder):
        require_no_links(folder)
        record = read_summary(folder)
        own = trust or is_own_run(record)
        try:
            rows = Counter(file for file, _ in read_in_order(folder))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"the journal in {folder} cannot be read: {error}") from error
        follower = WandbFollower(
            folder,
            name=record.name,
            run_id=record.run_id,
            config=read(folder / "config.yaml"),
            mode=mode,
            sent=rows,
            only_catch_up=True,
            joined=record.wandb if own else {"id": others_id(record.run_id)},
        )
        follower.finish(asdict(record))
        if follower.problem:
            raise SyncError(f"{folder} was not sent: {follower.problem}")
        if mode == "online":
            write_json(folder / "wandb" / MARK, {"url": follower.address})
            record.wandb = follower.state
            record.write()  # signed only if it was
    return follower.address


def send(
    folders: Sequence[Path],
    *,
    say: Callable[[str], None],
    sent: Callable[[str | None], None],
    trust: bool | None = None,
) -> tuple[int, int]:
    """Send runs one after the other, as `sync` does, and call `sent` with the URL of each.

    After two failures in a row the remaining runs are skipped, because each attempt may take a minute. Returns the
    number of runs that W&B did not accept, and of runs that cannot be sent because they are damaged or still running.
    """
    refused = unfit = in_a_row = 0
    for number, folder in enumerate(folders, start=1):
        say(f"{number}/{len(folders)} {folder}")
        try:
            sent(sync(folder, trust=trust))
            in_a_row = 0
        except SyncError as error:
            refused, in_a_row = refused + 1, in_a_row + 1
            say(str(error))
        except ConfigError as error:
            unfit += 1
            say(str(error))
        if in_a_row == 2 and (left := len(folders) - number):
            say(f"Weights & Biases does not accept runs now; skipping the remaining {left}")
            return refused + left, unfit
    return refused, unfit


def unsent(runs: Iterable[Summary], *, turned_off: bool = False) -> Iterator[Summary]:
    """Yield the ended runs that W&B does not have completely. `turned_off` includes runs with WANDB_MODE=disabled."""
    for record in runs:
        state = record.wandb or {"mode": "disabled"}
        mode = state.get("mode")
        lacking = (
            turned_off if mode == "disabled" else mode == "offline" or state.get("problem") or not state.get("url")
        )
        if (
            lacking
            and not record.fast_dev_run
            and not (record.dir / "wandb" / MARK).exists()
            and not at_work(record.dir)
        ):
            yield record
