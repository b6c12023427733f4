"""Two runs side by side: their settings, versions and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from lab.console.tables import table
from lab.runs.fields import as_text, is_number
from lab.runs.select import Run, flat

SURROUNDINGS = ("device", "threads", "fast_dev_run", "dataset", "versions", "git", "resume.exact", "parent")
"""Parts of a summary, beside the settings, that a run's figures depend on."""

Pair = tuple[Any, Any]
MISSING = "-"


@dataclass(frozen=True)
class RunDiff:
    """Two runs and the fields in which they differ: by name the two values, None for a missing one.

    Args:
        runs: the two.
        settings: of the config that differ.
        surroundings: versions, commit, device, data set that differ.
        metrics: all of both, whether they differ or not.
    """

    runs: tuple[Run, Run]
    settings: dict[str, Pair]
    surroundings: dict[str, Pair]
    metrics: dict[str, Pair]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values, for JSON."""
        runs = [{"run": run.record.run_id, "experiment": run.record.name, "status": run.status} for run in self.runs]
        return {"runs": runs, **{name: vars(self)[name] for name in ("settings", "surroundings", "metrics")}}


def run_diff(a: Run, b: Run) -> RunDiff:
    """Compare two runs, by what their summaries and configs say."""
    settings = _pairs(flat(a.config), flat(b.config))
    surroundings = _pairs(_surroundings(a), _surroundings(b))
    return RunDiff((a, b), _differing(settings), _differing(surroundings), _pairs(a.record.metrics, b.record.metrics))


def diff_report(found: RunDiff) -> RenderableType:
    """Return the comparison as tables: the differences first, then the metrics."""
    ids = _ids(found.runs)
    heads = [("experiment", "seed", "status", "verdict", "verdict on the target", "train"), *map(_head, found.runs)]
    lines: list[RenderableType] = [table(("", *ids), zip(*heads, strict=True)), Text()]
    for what, pairs in (("settings", found.settings), ("versions, commit, device and data", found.surroundings)):
        rows = [(name, *map(_shown, pair)) for name, pair in pairs.items()]
        lines += [table((what, *ids), rows) if rows else Text(f"{what}: the same in both"), Text()]
    figures = [(name, *map(_figure, pair), _difference(*pair)) for name, pair in found.metrics.items()]
    titles = ("metric", *ids, "difference")
    lines.append(table(titles, figures, right=titles[1:]) if figures else Text("neither has metrics"))
    return Lines(*lines)


def _head(run: Run) -> tuple[str, ...]:
    record = run.record
    train = f"{record.durations.get('train') or 0:.0f} s"
    return record.name, str(record.seed), run.status, record.verdict, record.target_verdict, train


def _surroundings(run: Run) -> dict[str, Any]:
    return {name: found for name, found in flat(asdict(run.record)).items() if name.startswith(SURROUNDINGS)}


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Pair]:
    return {name: (a.get(name), b.get(name)) for name in {**a, **b}}


def _differing(pairs: Mapping[str, Pair]) -> dict[str, Pair]:
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _ids(runs: tuple[Run, Run]) -> tuple[str, str]:
    a, b = (run.record.run_id for run in runs)
    return (a, b) if a != b else (f"{a} (first)", f"{b} (second)")


def _shown(found: Any) -> str:
    return as_text(found) or MISSING


def _figure(found: Any) -> str:
    return f"{found:.6g}" if is_number(found) else MISSING


def _difference(a: Any, b: Any) -> str:
    return f"{b - a:+.4g}" if is_number(a) and is_number(b) and a != b else ""
