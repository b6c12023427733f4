"""Recorded runs as a table for the terminal, and how far those are that processes work on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import RenderableType

from lab.cli.views.running import STALE, Position
from lab.console.plain import plain
from lab.console.tables import WIDEST, aligned, table
from lab.console.wording import count, rate, size, time_left
from lab.runs.fields import as_text, is_number, result_metric, value
from lab.runs.select import Run

GAP = 2  # columns between two cells
LEAST = ("disk", "device", "train", "seed", "status")
"""What a narrow terminal does without, the least important first. The status stays where runs differ in it."""


def runs_table(
    runs: Sequence[Run], columns: Sequence[str], of: int | None = None, width: int | None = None
) -> list[str]:
    """Return a heading, one row per run, and below the rows how many runs there are and their size on disk.

    Args:
        runs: the rows.
        columns: names of the fields to show.
        of: number of runs before --limit.
        width: of the terminal, where columns may be left out that do not fit; None for all columns.
    """
    sizes = [run.disk for run in runs]
    cells = {name: [_cell(run, name, taken) for run, taken in zip(runs, sizes, strict=True)] for name in columns}
    right = [name for name in columns if name == "disk" or _is_figure(name, runs)]
    left_out = [] if width is None else _narrow(cells, width)
    shown = count(len(runs), "run") if of in (None, len(runs)) else f"{len(runs):,} of {count(of or 0, 'run')}"
    head, *rows = aligned(list(cells), list(cells.values()), right=right)
    note = f"; {', '.join(reversed(left_out))} in a wider terminal, or with --columns" if left_out else ""
    strange = sum(not run.record.mine for run in runs)
    signing = f"; {strange:,} not signed as yours, which `lab trust RUN` signs" if strange else ""
    return [head, *rows, f"{shown}, {size(sum(sizes))}{signing}{note}"]


def running_table(runs: Sequence[Run], position: Callable[[Run], Position | None]) -> RenderableType | None:
    """Return one row per run that a process works on: how far it is, its rate, the time left and its latest figure;
    None where there is no such run."""
    at_work = [run for run in runs if run.status == "running"]
    if not at_work:
        return None
    rows = [(run.record.run_id, run.record.name, *_how_far(position(run))) for run in at_work]
    return table(("running", "experiment", "step", "rate", "left", "latest"), rows, right=("step", "rate", "left"))


def _how_far(found: Position | None) -> Sequence[str]:
    if found is None:
        return "", "", "", "no news yet"
    left = "" if found.left is None else time_left(found.left)
    stage = "" if found.stage == "training" else f"{found.stage}: "
    latest = f"{found.metric.rpartition('/')[2]} {found.value:.4g}" if found.value is not None else ""
    old = f"{latest}  {time_left(found.age)} ago".strip() if found.age > STALE else latest
    return f"{stage}{found.done:,}/{found.total:,}", rate(found.rate) if found.rate else "", left, old


def _narrow(cells: dict[str, list[str]], width: int) -> list[str]:
    """Make the table narrower, in place, until it fits; return the names of the columns that were left out."""
    left_out = []
    for name in LEAST:
        if _width(cells) > width and name in cells and not (name == "status" and len(set(cells[name])) > 1):
            left_out.append(name)
            del cells[name]
    if _width(cells) > width and "result" in cells:
        cells["result"] = [cell.rpartition("/")[2] for cell in cells["result"]]
    if _width(cells) > width and "run" in cells:
        begun = [name.rpartition("-")[0] or name for name in cells["run"]]  # a run's id without its random end
        cells["run"] = begun if len(set(begun)) == len(begun) else cells["run"]
    return left_out


def _width(cells: dict[str, list[str]]) -> int:
    """The columns of the terminal that a table takes."""
    widest = (max(cell_len(plain(cell)) for cell in (name, *column)) for name, column in cells.items())
    return sum(min(one, WIDEST) for one in widest) + GAP * (len(cells) - 1)


def _cell(run: Run, name: str, taken: int) -> str:
    if name == "disk":
        return size(taken)
    if name == "mine":
        return "" if run.record.mine else "no"
    if name == "train":
        train = run.record.durations.get("train")
        return "" if train is None else f"{train:.0f} s"
    found = value(run, name)
    if name == "status" and run.record.fast_dev_run:
        return "fast-dev" if found == "completed" else f"{found}, fast-dev"
    shown = f"{found:.5g}" if isinstance(found, float) else as_text(found)
    return f"{result_metric(run)} {shown}" if name == "result" and shown else shown


def _is_figure(name: str, runs: Sequence[Run]) -> bool:
    return "/" in name and any(is_number(value(run, name)) for run in runs)
