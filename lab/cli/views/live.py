"""Progress of several runs: all of them live at a terminal, or plain lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.cli.views.several import HOW
from lab.console.notices import console, notice
from lab.console.plain import plain
from lab.console.progress import Update, fitting
from lab.console.wording import duration, rate
from lab.errors import ConfigError
from lab.runs.fields import metric_of
from lab.runs.summary import Summary, read_summary
from lab.seeds.children import Child

REFRESH = 0.25  # seconds between two drawings
PLAIN_LINE_EVERY = 10.0  # seconds, for each run, where there is no terminal
BAR = 12  # columns


class Display:
    """Shows the progress of the children, live at a terminal and in lines elsewhere.

    Use it as `with Display() as display: display(children)`; the call may be repeated at any rate.
    """

    def __init__(self) -> None:
        self.live: Live | None = None
        self.told: set[int] = set()
        self.begun: set[int] = set()
        self.notices: set[str] = set()
        self.drawn = self.line = time.monotonic()

    def __enter__(self) -> Display:
        if console.is_terminal:
            self.live = Live(console=console, auto_refresh=False, transient=True)
            self.live.start()
            console.show_cursor(True)  # a second Ctrl-C ends this process at once, without restoring the cursor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            with suppress(OSError):
                self.live.stop()

    def __call__(self, children: Sequence[Child]) -> None:
        """Show the progress of all children."""
        for child in children:
            if child.state == "ended" and id(child) not in self.told:
                self.told.add(id(child))
                self._ended(child)
            elif child.state == "running" and id(child) not in self.begun and not self.live:
                self.begun.add(id(child))
                _say(f"{child.name}: {'resuming' if child.how == 'resumed' else 'begins'}")
        now = time.monotonic()
        if self.live and now - self.drawn >= REFRESH:
            self.drawn = now
            with suppress(OSError):
                self.live.update(_drawing(children), refresh=True)
        elif not self.live and now - self.line >= PLAIN_LINE_EVERY:
            self.line = now
            for child in children:
                if child.state == "running" and child.update:
                    _say(f"{child.name}: {child.update}")

    def _ended(self, child: Child) -> None:
        for line in child.notices if not child.asked else ():
            if line not in self.notices:
                self.notices.add(line)
                notice(f"{child.name}: {plain(line)}")
        run = _summary(child)
        took = f", {duration(child.seconds)}" if child.words else ""
        if child.failed:
            _say(f"{child.name}: ended with exit code {child.code}{took}; its output is in {child.log}")
            console.print(Text("\n".join(f"    {plain(line)}" for line in child.tail), style="dim"), soft_wrap=True)
        elif child.code and child.asked:
            step = run.resume.get("checkpoint") if run and run.status == "interrupted" else None
            _say(f"{child.name}: ended{'' if step is None else f', saved at step {step:,}'}")
        else:
            how = f"{HOW[child.how]}, " if HOW[child.how] else ""
            where = f", {run.run_id}" if run and not child.words else ""
            _say(f"{child.name}: {how}{_result(run)}{took}{where}")


def _say(line: str) -> None:
    console.print(Text(plain(line)), soft_wrap=True)


def _drawing(children: Sequence[Child]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for child in children:
        if child.state == "running" and child.update:
            grid.add_row(child.name, *_how_far(child.update, console.width - len(f"{child.name} ")))
        elif child.state == "running":
            grid.add_row(child.name, "", Text("starts", style="dim"))
    states = [child.state for child in children]
    waiting = f", {states.count('waiting')} waiting" if "waiting" in states else ""
    return Group(grid, Text(f"{states.count('ended')} of {len(states)} runs ended{waiting}", style="dim"))


def _how_far(update: Update, width: int) -> list[RenderableType]:
    stage, done = plain(update.stage), f"{update.done:,}/{update.total:,}"
    if not update.total:
        return ["", Text(stage)]
    speed = f"{rate(update.rate)} {update.left}" if update.rate else ""
    metrics = fitting(update.metrics, width - BAR - len(f" {stage} {done} {speed} "))
    bar = ProgressBar(total=update.total, completed=update.done, width=BAR)
    return [bar, Text(stage), done, speed, Text(plain(metrics), style="cyan", no_wrap=True)]


def _summary(child: Child) -> Summary | None:
    with suppress(ConfigError):
        return read_summary(child.folder) if child.folder else None
    return None


def _result(run: Summary | None) -> str:
    if run is None:
        return "no run"
    metric = metric_of(run)
    figure = run.metrics.get(metric)
    verdict = run.target_verdict if run.target and not run.reference.get("metric") else run.verdict
    return f"{metric} {figure:.5g}, {verdict}" if figure is not None else run.status
