"""Weights & Biases as a follower: it may be absent, refuse, hang or die, and the run goes on as if it were not there.

All calls happen in one worker thread behind a bounded queue, so that nothing W&B does can delay a training step. What
it misses is not lost: the journal has every row.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.console.progress import notice
from lab.tracking.destination import project, quiet, sweeping, trial
from lab.tracking.journal import MEDIA, METRICS, read_in_order
from lab.tracking.redact import redact

QUEUE_ROWS = 10_000
ROW = {METRICS: "journal/row", MEDIA: "journal/media"}
"""Counters sent with every row: whoever reads a history can tell that it is whole."""
START_TIMEOUT = 8  # seconds until an online start is given up and the run is recorded offline
FINISH_TIMEOUT = 30  # seconds granted to the last upload
SLOWEST_UPLOAD = 100_000  # bytes per second: with many pictures to send at once, the last upload is granted more
CONFIRMATIONS = (0.0, 0.5, 1.0, 2.0, 4.0)  # seconds before the server is asked, once more, whether it has all rows


hung = threading.Event()
"""Set once W&B has stopped answering: it would hold up the interpreter's exit as well, and the command may not wait."""


class WandbFollower:
    """Mirrors the journal to one W&B run, on whichever side of the network the user has chosen.

    Offline unless an API key is there or WANDB_MODE says otherwise; `WANDB_MODE=disabled` turns it off. `sent` says
    how many rows of each file of the journal came before the first one that it will be told: those that the server
    lacks are read from there. With `only_catch_up` that is all there is to do, and it does not fall back to offline.

    Every row of the journal, of either file, is one row of the W&B history, in the same order: so the number of rows
    that the server has says which ones it lacks.

    Started by `wandb agent`, it takes the place of the run that the sweep waits for; `joined`, what `state` was in
    an earlier session, leads back there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        run_id: str,
        config: dict[str, Any],
        mode: str,
        sent: Mapping[str, int] | None = None,
        only_catch_up: bool = False,
        joined: Mapping[str, Any] | None = None,
    ) -> None:
        self.mode, self.only_catch_up = mode, only_catch_up
        self.counts = {METRICS: 0, MEDIA: 0} | dict(sent or {})
        self.before = dict(self.counts)
        self.known = 0
        self.address: str | None = None
        self.problem: str | None = None
        self.folder, self.name, self.run_id, self.config = folder, name, run_id, redact(config)
        self.trial = trial(joined or {}) if mode != "disabled" else {}
        self.patience = float(FINISH_TIMEOUT)
        if only_catch_up:
            self.patience += sum(path.stat().st_size for path in (folder / "media").glob("*")) / SLOWEST_UPLOAD
        self.run: Any = None
        self.axes: dict[str, str] = {}
        self.handed_on = 0
        self.work: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_ROWS)
        self.thread = threading.Thread(target=self._follow, name="wandb", daemon=True)
        if self.mode != "disabled":
            self.thread.start()

    @property
    def state(self) -> dict[str, Any]:
        """What the summary says of W&B; for a sweep's run also which one it is there."""
        return {"mode": self.mode, "url": self.address, "problem": self.problem, **self.trial}

    def log(self, metrics: Mapping[str, float], *, axis: str, at: int) -> None:
        row = {**metrics, axis: at}
        self._post_row(METRICS, axis, lambda: row)

    def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
        self._post_row(MEDIA, axis, lambda: {name: self._media(path), axis: at})

    def _post_row(self, kind: str, axis: str, row: Callable[[], dict[str, Any]]) -> None:
        self.counts[kind] += 1
        number, line = self.counts[kind], sum(self.counts.values())
        self._post(lambda: self._hand_on({**row(), ROW[kind]: number}, axis, line))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Hand over the summary and wait for the upload, for as long as rows are taken and then for the timeouts."""
        if not self.thread.is_alive():
            return
        final = redact({key: summary[key] for key in ("status", "reference", "metrics") if key in summary})
        self._post(lambda: self.run.summary.update(final.pop("metrics", {}) | final))
        with contextlib.suppress(queue.Full):
            self.work.put(None, timeout=FINISH_TIMEOUT)
        handed_on = -1
        while self.thread.is_alive() and self.handed_on > handed_on:
            handed_on = self.handed_on
            self.thread.join(START_TIMEOUT + self.patience + sum(CONFIRMATIONS))
        if self.thread.is_alive():
            self._give_up("it does not answer")
            hung.set()

    def _post(self, call: Callable[[], None]) -> None:
        if self.problem is None and self.thread.is_alive():
            try:
                self.work.put_nowait(call)
            except queue.Full:
                self._give_up("it does not take rows as fast as they come")

    def _give_up(self, problem: str) -> None:
        if self.problem is None:
            self.problem = redact(problem)
            if not self.only_catch_up:  # whoever wanted just this is told by an error
                notice(
                    f"Weights & Biases is left out from here on: {problem}. Nothing is lost: the journal has every row."
                )

    def _follow(self) -> None:
        try:
            self._start()
            if self.only_catch_up or self.mode == "online":
                self._catch_up()
            while call := self.work.get():
                call()
            self.run.finish()
            if self.mode == "online":
                self._confirm()
        # Whatever goes wrong inside W&B (it raises OSErrors, its own and RuntimeErrors) stays here.
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {error}".splitlines()[0][:200])
            with contextlib.suppress(Exception):
                sys.modules["wandb"].teardown()  # or its hook at exit would print the same once more, as a traceback

    def _start(self) -> None:
        quiet(self.folder)
        (self.folder / "wandb").mkdir(exist_ok=True)
        import wandb

        settings = {
            "silent": True,
            "console": "off",
            "x_disable_stats": True,
            "x_disable_meta": True,
            "x_disable_machine_info": True,
            "host": "",
            "program": "lab",  # else its path on this machine
            "x_transaction_log_flush_interval": 1,
            "save_code": False,
            "init_timeout": START_TIMEOUT,
            "finish_timeout": self.patience,
            "finish_timeout_raises": True,  # else rows that were never sent would count as sent
        }

        def start(mode: str) -> Any:
            os.environ["WANDB_MODE"] = mode  # as a setting alone it would still look up the server's name
            return wandb.init(
                project=None if sweeping() else project(),  # wandb knows those of the sweep, and takes no others
                id=None if sweeping() else self.trial.get("id", self.run_id),
                name=self.run_id,
                group=self.name,
                config=self.config,
                dir=self.folder,
                mode=mode,  # type: ignore[arg-type]
                resume="allow",
                settings=wandb.Settings(**settings, sweep_id=self.trial.get("sweep")),
            )

        before = os.environ.get("WANDB_MODE")
        try:
            self.run = start(self.mode)
        except Exception as error:
            if self.mode != "online" or self.only_catch_up:
                raise
            notice(f"Weights & Biases cannot be reached ({type(error).__name__}): this run is recorded offline.")
            self.mode = "offline"
            wandb.teardown()
            self.run = start("offline")
        finally:
            os.environ.pop("WANDB_MODE", None)
            if before is not None:
                os.environ["WANDB_MODE"] = before
        self.address = self.run.url
        self.known = self._rows_there() if self.run.resumed else 0
        for counter in ROW.values():
            self.run.define_metric(counter, hidden=True)

    def _catch_up(self) -> None:
        """Hand on the rows of earlier sessions, or of the run this one was forked from."""
        counts = {METRICS: 0, MEDIA: 0}
        for kind, row in read_in_order(self.folder):
            counts[kind] += 1
            if counts[kind] > self.before[kind]:  # of this session, written while the earlier ones are sent
                continue
            axis = row["axis"]
            values: dict[str, Any]
            if kind == METRICS:
                values = {k: math.nan if v is None else v for k, v in row.items() if k not in ("time", "axis")}
            else:
                values = {axis: row[axis]}
                path = self.folder / "media" / Path(row["file"]).name
                if path.is_file() and not path.is_symlink():  # a stranger's run is not to send files from elsewhere
                    values[row["name"]] = self._media(path)
            self._hand_on({**values, ROW[kind]: counts[kind]}, axis, sum(counts.values()))

    def _hand_on(self, row: dict[str, Any], axis: str, line: int) -> None:
        """Give W&B a row that is the history's line of this number, unless the server has it already: a resumed run
        comes by such rows again. That it has the line says nothing of the picture in it, which is sent once more."""
        self._define(row, axis)
        if line > self.known:
            self.run.log(row)
        else:
            for name, value in row.items():
                if not isinstance(value, int | float):
                    value.bind_to_run(self.run, name, line - 1)
        self.handed_on += 1

    def _define(self, row: Mapping[str, Any], axis: str) -> None:
        """Tell W&B on which axis these metrics are drawn."""
        for name in row:
            group = name.split("/")[0]
            if name not in (axis, *ROW.values()) and self.axes.get(group) != axis:
                self.axes[group] = axis
                self.run.define_metric(f"{group}/*", step_metric=axis)

    def _confirm(self) -> None:
        """Ask the server whether it has all rows: when it refuses some, W&B's client ends as if all were well."""
        rows, there = sum(self.counts.values()), 0
        for seconds in CONFIRMATIONS:
            time.sleep(seconds)
            there = self._rows_there()
            if there >= rows:
                return
        self._give_up(f"it has {there:,} of {rows:,} rows")

    def _rows_there(self) -> int:
        """How many rows of the history the server has. (Neither its summary nor the step that a resumed run begins
        with says so: both can be ahead.)"""
        import wandb

        path = f"{self.run.entity}/{self.run.project}/{self.run.id}"
        return int(wandb.Api(timeout=START_TIMEOUT).run(path).historyLineCount or 0)

    def _media(self, path: Path) -> Any:
        import wandb

        return wandb.Video(str(path), format="gif") if path.suffix == ".gif" else wandb.Image(str(path))

    def wait_started(self, seconds: float) -> None:
        """Give an offline start, which takes about a second, the time to happen before training is timed."""
        deadline = time.monotonic() + seconds
        while self.run is None and self.problem is None and self.thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
