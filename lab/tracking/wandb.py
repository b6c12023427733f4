"""Sends a run to Weights & Biases. If W&B is missing, refuses, hangs or dies, the run continues without it.

All calls happen in one worker thread behind a bounded queue, so that W&B cannot delay a training step. The journal has
every row that W&B misses.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.console.notices import notice
from lab.tracking.destination import quiet, trial
from lab.tracking.journal import MEDIA, METRICS, read_in_order
from lab.tracking.redact import redact
from lab.tracking.wandb_client import as_media, copy_of_media, start_run, tear_down

QUEUE_ROWS = 10_000
ROW = {METRICS: "journal/row", MEDIA: "journal/media"}
"""Counters sent with every row, so that a reader of the history can check that it is complete."""
START_TIMEOUT = 8  # seconds; after that the run is recorded offline
FINISH_TIMEOUT = 30  # seconds for the last upload
SLOWEST_UPLOAD = 100_000  # bytes per second: the last upload of many pictures gets more time
CONFIRMATIONS = (0.0, 0.5, 1.0, 2.0, 4.0)  # seconds to wait before each question whether the server has all rows


hung = threading.Event()
"""Set when W&B has stopped responding. It would then also delay the exit of the interpreter."""


class WandbFollower:
    """Mirrors the journal to one W&B run, online or offline.

    Each row of the journal, of either file, is one row of the W&B history, in the same order. So the number of rows on
    the server tells which ones are missing.

    Args:
        folder: the run folder.
        name: of the experiment; the group on W&B.
        run_id: of the run; its id and name on W&B.
        config: of the run; secrets are blanked.
        mode: `online`, `offline` or `disabled`; see `chosen_mode`.
        sent: rows of each journal file that were written in earlier sessions. Those that the server lacks are read from
            the journal.
        only_catch_up: send these rows and nothing else; then a failure is an error and not a switch to offline.
        joined: `state` of an earlier session. A run started by `wandb agent` takes the id that the sweep expects, and
            finds it here again when it is resumed.
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
        """What the summary records about W&B; for a trial of a sweep also its ids there."""
        return {"mode": self.mode, "url": self.address, "problem": self.problem, **self.trial}

    def log(self, metrics: Mapping[str, float], *, axis: str, at: int) -> None:
        row = {**metrics, axis: at}
        self._post_row(METRICS, axis, lambda: row)

    def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
        self._post_row(MEDIA, axis, lambda: {name: as_media(path), axis: at})

    def _post_row(self, kind: str, axis: str, row: Callable[[], dict[str, Any]]) -> None:
        self.counts[kind] += 1
        number, line = self.counts[kind], sum(self.counts.values())
        self._post(lambda: self._hand_on({**row(), ROW[kind]: number}, axis, line))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Send the summary and wait for the upload: while rows are accepted, and then until the timeouts."""
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
            self._give_up("it does not respond")
            hung.set()

    def _post(self, call: Callable[[], None]) -> None:
        if self.problem is None and self.thread.is_alive():
            try:
                self.work.put_nowait(call)
            except queue.Full:
                self._give_up("it does not accept rows as fast as they come")

    def _give_up(self, problem: str) -> None:
        if self.problem is None:
            self.problem = redact(problem)
            if not self.only_catch_up:  # then the caller raises an error
                notice(f"Weights & Biases is no longer used: {problem}. Nothing is lost: the journal has every row.")

    def _follow(self) -> None:
        try:
            self._start()
            if self.only_catch_up or self.mode == "online":
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
                    self._catch_up(Path(place))
            while call := self.work.get():
                call()
            self.run.finish()
            if self.mode == "online":
                self._confirm()
        # No error inside W&B (OSError, its own classes, RuntimeError) may end the run.
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {error}".splitlines()[0][:200])
            with contextlib.suppress(Exception):
                tear_down()  # else its exit hook prints the error again, as a traceback

    def _start(self) -> None:
        quiet(self.folder)
        (self.folder / "wandb").mkdir(exist_ok=True)

        def start(mode: str) -> Any:
            return start_run(
                self.folder, self.name, self.run_id, self.config, mode, self.trial, (START_TIMEOUT, self.patience)
            )

        before = os.environ.get("WANDB_MODE")
        try:
            self.run = start(self.mode)
        except Exception as error:
            if self.mode != "online" or self.only_catch_up:
                raise
            notice(f"Weights & Biases cannot be reached ({type(error).__name__}): this run is recorded offline.")
            self.mode = "offline"
            tear_down()
            self.run = start("offline")
        finally:
            os.environ.pop("WANDB_MODE", None)
            if before is not None:
                os.environ["WANDB_MODE"] = before
        self.address = self.run.url
        self.known = self._rows_there() if self.run.resumed else 0
        for counter in ROW.values():
            self.run.define_metric(counter, hidden=True)

    def _catch_up(self, place: Path) -> None:
        """Send the rows of earlier sessions, or of the run that this one was forked from; `place` is for copies."""
        counts = {METRICS: 0, MEDIA: 0}
        for kind, row in read_in_order(self.folder):
            counts[kind] += 1
            if counts[kind] > self.before[kind]:  # a row of this session, written while earlier ones are sent
                continue
            axis = row["axis"]
            values: dict[str, Any]
            copy: Path | None = None
            if kind == METRICS:
                values = {k: math.nan if v is None else v for k, v in row.items() if k not in ("time", "axis")}
            else:
                values = {axis: row[axis]}
                path = self.folder / "media" / Path(row["file"]).name
                if copy := copy_of_media(path, self.folder, place):
                    values[row["name"]] = as_media(copy)
            self._hand_on({**values, ROW[kind]: counts[kind]}, axis, sum(counts.values()))
            if copy:  # the client has taken one of its own
                copy.unlink()

    def _hand_on(self, row: dict[str, Any], axis: str, line: int) -> None:
        """Log a row as line number `line` of the history, unless the server already has that line, as after a resume.
        Its pictures are sent in any case, because the line alone does not show that they arrived."""
        self._define(row, axis)
        if line > self.known:
            self.run.log(row)
        else:
            for name, value in row.items():
                if not isinstance(value, int | float):
                    value.bind_to_run(self.run, name, line - 1)
        self.handed_on += 1

    def _define(self, row: Mapping[str, Any], axis: str) -> None:
        """Define the axis of these metrics on W&B."""
        for name in row:
            group = name.split("/")[0]
            if name not in (axis, *ROW.values()) and self.axes.get(group) != axis:
                self.axes[group] = axis
                self.run.define_metric(f"{group}/*", step_metric=axis)

    def _confirm(self) -> None:
        """Check that the server has all rows. W&B's client reports no error when the server refuses some."""
        rows, there = sum(self.counts.values()), 0
        for seconds in CONFIRMATIONS:
            time.sleep(seconds)
            there = self._rows_there()
            if there >= rows:
                return
        self._give_up(f"it has {there:,} of {rows:,} rows")

    def _rows_there(self) -> int:
        """Return the number of rows of the history on the server. The summary there and the first step of a resumed run
        are no substitute, because both can be ahead."""
        import wandb

        path = f"{self.run.entity}/{self.run.project}/{self.run.id}"
        return int(wandb.Api(timeout=START_TIMEOUT).run(path).historyLineCount or 0)
