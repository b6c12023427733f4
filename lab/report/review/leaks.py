"""Questions to whether anything was judged on what it was trained or chosen on, or counted twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.console.wording import count, shown
from lab.report.review.findings import Case, Finding, fold
from lab.report.review.replicates import Evidence
from lab.runs.readings import episodes_of, number
from lab.runs.select import Run
from lab.tracking.journal import METRICS

STAGES = {
    "train/": "the training itself",
    "rollout/": "episodes of the training itself",
    "val/": "data that choices are made on in training",
    "best/": "the best policy of the run, where a published figure is mostly of the last",
}
"""What a metric of this group is measured on."""

CLOCK = ("time", "speed/")
"""What begins so in a row depends on the clock."""

COMPARED = 5  # last rows of two seeds
ROUNDING = 1e-6  # of float32, by which rows of one batch may differ
TAIL = 50_000  # bytes that hold so many


def judged_in_training(evidence: Evidence) -> Iterator[Finding]:
    """A verdict on a metric that belongs to the training, or to the best of the run."""
    cases = []
    for group in evidence.groups:
        stage = next((stage for stage in STAGES if str(group.metric).startswith(stage)), None)
        protocol = str(group.runs[-1].record.reference.get("protocol", "")).lower()
        if group.judged and stage and not (stage == "best/" and "best" in protocol):
            text = f"{group.label} by {group.metric}: {STAGES[stage]}"
            cases.append(Case(text, list(group.judged.values())))
    yield from fold(
        "judged-in-training",
        "major",
        "judged on what it was trained or chosen on",
        cases,
        why="Such a figure is better than what the same model does on anything new",
        remedy="set `reference.metric` to a figure of the final model, `eval/...` or `test/...`, or say in "
        "`reference.protocol` that the published one was measured so as well",
    )


def episodes_alike(evidence: Evidence) -> Iterator[Finding]:
    """An environment that ignores its seed, so that all episodes are the same one, in evaluation as in training.

    The seeds themselves never meet: those of training and of each kind of evaluation are derived from the run's along
    ways of their own.
    """
    found: dict[str, list[Run]] = {}
    for run in evidence.real:
        if episodes_of(run) > 1 and _alike(run.record.metrics) and _evaluations_alike(run):
            found.setdefault(shown(run.record.dataset.get("name")), []).append(run)
    cases = [
        Case(f"{name}, {count(len(runs), 'run')}: in every evaluation all episodes had one return", runs)
        for name, runs in found.items()
    ]
    yield from fold(
        "episodes-alike",
        "major",
        "evaluation on the episodes of training",
        cases,
        why="The environment seems to ignore its seed: its many episodes are one, the same as in training",
        remedy="draw the start from `self.np_random` in the environment's `reset`; where there is but one start, say "
        "so beside the figure",
    )


def seeds_alike(evidence: Evidence) -> Iterator[Finding]:
    """Runs with different seeds that trained alike, to the last digit."""
    cases = []
    for group in evidence.groups:
        same: dict[str, list[int]] = {}
        for seed, run in group.counted.items():
            if rows := _last_rows(run.record.dir / METRICS):
                same.setdefault(f"{rows} {run.record.metrics}", []).append(seed)
        cases += [
            Case(f"{group.label}, seeds {', '.join(map(str, seeds))}", [group.counted[seed] for seed in seeds])
            for seeds in same.values()
            if len(seeds) > 1
        ]
    yield from fold(
        "seeds-alike",
        "major",
        "seeds that change nothing",
        cases,
        intro="Different seeds with the same curves, to the last digit: ",
        why="They are one run, and count as one",
        remedy="find out why the seed does not reach what should be random",
    )


def _evaluations_alike(run: Run) -> bool:
    """Whether each evaluation on the way had episodes of one return only, and not all the same one: a policy that fails
    or solves whatever there is has one too, but never three."""
    returns = []
    try:
        with (run.record.dir / METRICS).open("rb") as file:
            for line in file:
                if b'"eval/return_std"' in line:
                    row = json.loads(line)
                    if not _alike(row):
                        return False
                    returns.append(row["eval/return_mean"])
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return len(set(returns)) > 2


def _alike(figures: Mapping[str, Any]) -> bool:
    """Whether an evaluation's episodes had one return, but for what rounding does to their mean."""
    mean, deviation = (number(figures.get(f"eval/return_{what}")) for what in ("mean", "std"))
    return mean is not None and deviation is not None and deviation <= ROUNDING * max(1.0, abs(mean))


def _last_rows(path: Path) -> str:
    """The last rows but for what depends on the clock; empty where they say nothing of the training."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().splitlines()[-COMPARED:]
            rows = [{k: v for k, v in json.loads(line).items() if not k.startswith(CLOCK)} for line in lines]
    except (OSError, ValueError, AttributeError):
        return ""
    return repr(rows) if any(_of_training(row) for row in rows) else ""


def _of_training(row: dict[str, Any]) -> bool:
    """Whether a row holds more of the training than its settings."""
    return any(name.startswith("train/") and name != "train/learning_rate" for name in row)
