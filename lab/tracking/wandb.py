"""Weights & Biases as a follower: it may be absent, refuse, hang or die, and the run goes on as if it were not there.

All calls happen in one worker thread behind a bounded queue, so that nothing W&B does can delay a training step. What
it misses is not lost: the journal has every row.
"""

from __future__ import annotations

import contextlib
import math
import netrc
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.errors import ConfigError, nearest
from lab.progress import notice
from lab.tracking.journal import MEDIA, METRICS, read_journal
from lab.tracking.redact import redact

QUEUE_ROWS = 10_000
ROW = {METRICS: "journal/row", MEDIA: "journal/media"}
"""Counters sent with every row: by them a resumed run, and `lab sync`, know what the server has already."""
START_TIMEOUT = 8  # seconds until an online start is given up and the run is recorded offline
FINISH_TIMEOUT = 30  # seconds granted to the last upload


hung = threading.Event()
"""Set once W&B has stopped answering: it would hold up the interpreter's exit as well, and the command may not wait."""


class WandbFollower:
    """Mirrors the journal to one W&B run, on whichever side of the network the user has chosen.

    Offline unless an API key is there or WANDB_MODE says otherwise; `WANDB_MODE=disabled` turns it off. `sent` says
    how many rows of each file of the journal came before the first one that it will be told: those that the server
    lacks are read from there. With `only_catch_up` that is all there is to do, and it does not fall back to offline.
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
    ) -> None:
        self.mode, self.only_catch_up = mode, only_catch_up
        self.numbers = {METRICS: 0, MEDIA: 0} | dict(sent or {})
        self.before = dict(self.numbers)
        self.known = {METRICS: 0, MEDIA: 0}
        self.address: str | None = None
        self.problem: str | None = None
        self.folder, self.name, self.run_id, self.config = folder, name, run_id, redact(config)
        self.run: Any = None
        self.axes: dict[str, str] = {}
        self.work: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_ROWS)
        self.thread = threading.Thread(target=self._follow, name="wandb", daemon=True)
        if self.mode != "disabled":
            self.thread.start()

    def log(self, metrics: Mapping[str, float], *, axis: str, at: int) -> None:
        row = {**metrics, axis: at}
        self._post_row(METRICS, axis, lambda: row)

    def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
        self._post_row(MEDIA, axis, lambda: {name: self._media(path), axis: at})

    def _post_row(self, kind: str, axis: str, row: Callable[[], dict[str, Any]]) -> None:
        self.numbers[kind] += 1
        number = self.numbers[kind]

        def send() -> None:
            if number > self.known[kind]:  # a resumed run comes by rows again that the server has already
                self._log({**row(), ROW[kind]: number}, axis)

        self._post(send)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Hand over the summary and wait for the upload, within the two timeouts above."""
        if not self.thread.is_alive():
            return
        final = redact({key: summary[key] for key in ("status", "reference", "metrics") if key in summary})
        self._post(lambda: self.run.summary.update(final.pop("metrics", {}) | final))
        with contextlib.suppress(queue.Full):
            self.work.put(None, timeout=FINISH_TIMEOUT)
        self.thread.join(START_TIMEOUT + FINISH_TIMEOUT)
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
            self.problem = problem
            notice(f"Weights & Biases is left out from here on: {problem}. Nothing is lost: the journal has every row.")

    def _follow(self) -> None:
        try:
            self._start()
            if self.only_catch_up or self.mode == "online":
                self._catch_up()
            while call := self.work.get():
                call()
            self.run.finish()
        # Whatever goes wrong inside W&B (it raises OSErrors, its own and RuntimeErrors) stays here.
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {error}".splitlines()[0][:200])
            with contextlib.suppress(Exception):
                sys.modules["wandb"].teardown()  # or its hook at exit would print the same once more, as a traceback

    def _start(self) -> None:
        # Read by wandb when it is first used: all its files stay inside the run folder.
        for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
            os.environ[name] = str(self.folder)
        os.environ.setdefault("WANDB_SILENT", "true")
        (self.folder / "wandb").mkdir(exist_ok=True)
        import wandb

        settings = {
            "silent": True,
            "console": "off",
            "x_disable_stats": True,
            "x_disable_meta": True,
            "x_transaction_log_flush_interval": 1,
            "save_code": False,
            "init_timeout": START_TIMEOUT,
            "finish_timeout": FINISH_TIMEOUT,
        }

        def start(mode: str) -> Any:
            os.environ["WANDB_MODE"] = mode  # as a setting alone it would still look up the server's name
            return wandb.init(
                project=os.environ.get("WANDB_PROJECT", "lab"),
                id=self.run_id,
                name=self.run_id,
                group=self.name,
                config=self.config,
                dir=self.folder,
                mode=mode,  # type: ignore[arg-type]
                resume="allow",
                settings=wandb.Settings(**settings),
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
        for kind, counter in ROW.items():
            self.run.define_metric(counter, hidden=True)
            self.known[kind] = int(self.run.summary.get(counter) or 0)

    def _catch_up(self) -> None:
        """Send the rows of earlier sessions, or of the run this one was forked from, that the server lacks."""
        for kind in (METRICS, MEDIA):
            for number, row in enumerate(read_journal(self.folder / kind), start=1):
                if not self.known[kind] < number <= self.before[kind]:
                    continue
                axis = row["axis"]
                if kind == METRICS:
                    values = {k: math.nan if v is None else v for k, v in row.items() if k not in ("time", "axis")}
                elif (path := self.folder / "media" / Path(row["file"]).name).is_file():
                    values = {row["name"]: self._media(path), axis: row[axis]}
                else:
                    continue
                self._log({**values, ROW[kind]: number}, axis)

    def _log(self, row: dict[str, Any], axis: str) -> None:
        for name in row:
            group = name.split("/")[0]
            if name not in (axis, *ROW.values()) and self.axes.get(group) != axis:
                self.axes[group] = axis
                self.run.define_metric(f"{group}/*", step_metric=axis)
        self.run.log(row)

    def _media(self, path: Path) -> Any:
        import wandb

        return wandb.Video(str(path), format="gif") if path.suffix == ".gif" else wandb.Image(str(path))

    def wait_started(self, seconds: float) -> None:
        """Give an offline start, which takes about a second, the time to happen before training is timed."""
        deadline = time.monotonic() + seconds
        while self.run is None and self.problem is None and self.thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)


def chosen_mode() -> str:
    """`online`, `offline` or `disabled`: WANDB_MODE, else online where there is a key, else offline.

    Raises ConfigError for a mode that does not exist: a slip must not send what was meant to stay.
    """
    mode = os.environ.get("WANDB_MODE", "").lower()
    mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)  # W&B's old names
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1"):
        mode = "disabled"
    modes = ("online", "offline", "disabled")
    if mode and mode not in modes:
        raise ConfigError(f"WANDB_MODE must be one of {', '.join(modes)}, received {mode!r}{nearest(mode, modes)}")
    if mode:
        return mode
    return "online" if os.environ.get("WANDB_API_KEY") or _key_in_netrc() else "offline"


def _key_in_netrc() -> bool:
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
