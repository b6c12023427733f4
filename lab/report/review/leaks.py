"""Questions about whether anything was judged on what it was trained or chosen on, or counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.console.wording import count, shown
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Case, question
from lab.runs.readings import episodes_of, number
from lab.runs.select import Run
from lab.system.opening import open_plain, parse_json
from lab.tracking.journal import METRICS, lines_of

STAGES = {
    "train/": "the training itself",
    "rollout/": "episodes of the training itself",
    "val/": "data that choices are made on during training",
    "best/": "the best policy of the run, where a published figure usually is of the last one",
}
"""What a metric with this prefix is measured on."""

CLOCK = ("time", "speed/")
"""Prefixes of what depends on the clock in a row."""

COMPARED = 5  # last rows of two seeds
ROUNDING = 1e-6  # of float32, by which rows of one batch may differ
TAIL = 50_000  # bytes that hold so many rows
MEAN, DEVIATION = "_mean", "_std"


@question(
    "judged-in-training",
    "judged on what it was trained or chosen on",
    "major",
    why="Such a figure is better than what the same model reaches on new data",
    remedy="set `metric` to a figure of the final model, `eval/...` or `test/...`, or say in `protocol` that the "
    "published figure was measured in the same way",
)
def judged_in_training(evidence: Evidence) -> Iterator[Case]:
    """Verdicts on a metric of the training, or of the best weights of the run."""
    for claim in evidence.claims:
        metric, protocol = str(claim.group.metric), str(claim.standard.get("protocol", "")).lower()
        stage = next((stage for stage in STAGES if metric.startswith(stage)), None)
        if stage and not (stage == "best/" and "best" in protocol):
            yield Case(f"{claim.group.label} by {metric}: {STAGES[stage]}", claim.judged)


@question(
    "episodes-alike",
    "all episodes are the same",
    "major",
    why="The environment seems to ignore its seed, so that every episode is the same one, in training as well",
    remedy="draw the start from `self.np_random` in the environment's `reset`; where there is only one start, say so "
    "beside the figure",
)
def episodes_alike(evidence: Evidence) -> Iterator[Case]:
    """Environments that ignore their seed.

    The seeds themselves never meet: those of training and of each kind of evaluation are derived from the run's seed in
    different ways.
    """
    found: dict[str, list[Run]] = {}
    for run in evidence.real:
        metrics = run.record.metrics
        means = [name for name in metrics if name.endswith(MEAN) and _alike(metrics, name)]
        if episodes_of(run) > 1 and any(_always_alike(run, name) for name in means):
            found.setdefault(shown(run.record.dataset.get("name")), []).append(run)
    for name, runs in found.items():
        yield Case(f"{name}, {count(len(runs), 'run')}: in every evaluation all episodes had one return", runs)


@question(
    "seeds-alike",
    "seeds that change nothing",
    "major",
    intro=lambda evidence, cases: "Different seeds have the same curves, to the last digit",
    why="They are one run, and count as one",
    remedy="find out why the seed does not reach what should be random",
)
def seeds_alike(evidence: Evidence) -> Iterator[Case]:
    """Runs with different seeds that trained alike, to the last digit."""
    for group in evidence.groups:
        same: dict[str, list[Run]] = {}
        figures = Counter(repr(run.record.metrics) for run in group.counted)
        for run in group.counted:  # journals are read where the figures are the same to begin with
            alike = figures[repr(run.record.metrics)] > 1
            if alike and (rows := _last_rows(run.record.dir / METRICS)):
                same.setdefault(f"{rows} {run.record.metrics}", []).append(run)
        for runs in same.values():
            if len(runs) > 1:
                yield Case(f"{group.label}, {' and '.join(map(group.called, runs))}", runs)


def _always_alike(run: Run, metric: str) -> bool:
    """Whether in each evaluation during training all episodes had one return, but not the same one in all evaluations.

    A policy that always fails or always succeeds has one return as well, but not three different ones.
    """
    deviation = f'"{metric.removesuffix(MEAN)}{DEVIATION}"'.encode()
    returns: set[float | None] = set()
    try:
        for lines in lines_of(run.record.dir / METRICS):
            for line in lines:
                if deviation in line:
                    row = parse_json(line)
                    if not _alike(row, metric):
                        return False
                    if len(returns) <= 2:
                        returns.add(number(row[metric]))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return False
    return len(returns) > 2


def _alike(figures: Mapping[str, Any], metric: str) -> bool:
    """Whether all episodes behind a mean had one return, apart from rounding."""
    mean, deviation = (number(figures.get(metric.removesuffix(MEAN) + end)) for end in (MEAN, DEVIATION))
    return mean is not None and deviation is not None and deviation <= ROUNDING * max(1.0, abs(mean))


def _last_rows(path: Path) -> str:
    """The last rows without what depends on the clock; empty where they say nothing about the training."""
    try:
        with open_plain(path, path.parent) as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read(TAIL).splitlines()[-COMPARED:]
            rows = [{k: v for k, v in parse_json(line).items() if not k.startswith(CLOCK)} for line in lines]
    except (OSError, ValueError, AttributeError):
        return ""
    return repr(rows) if any(_of_training(row) for row in rows) else ""


def _of_training(row: dict[str, Any]) -> bool:
    """Whether a row holds more of the training than its learning rate."""
    return any(name.startswith("train/") and name != "train/learning_rate" for name in row)
