"""The tables of a report in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lab.report import display
from lab.report.material import Task
from lab.report.page import scores
from lab.report.page.differences import Differences, between_groups, between_runs, settings_of
from lab.report.page.runs import common_versions
from lab.report.repeat import repeats, resolved
from lab.report.wandb.markdown import escaped, fenced, link, table
from lab.runs.groups import Group
from lab.runs.readings import figure, number
from lab.runs.select import Run
from lab.tracking.destination import Place

MOST_SETTINGS = 60  # rows of one table


def verdicts(tasks: Sequence[Task]) -> str:
    """Return each group's figures beside the published figure, the target, the baselines and the bounds."""
    head = ["group", "task", "mean ± 95 %", "published", "verdict", "runs", "target", "baselines and bounds"]
    rows = [_verdict(task, scores.score(group)) for task in tasks for group in task.groups]
    return table([*head, "interquartile mean", "range", "training", "speed"], rows)


def _named(figures: Mapping[str, float]) -> list[str]:
    return [f"{name} {display.figure(score)}" for name, score in figures.items()]


def _verdict(task: Task, one: scores.Score) -> list[str]:
    group, spread = one.group, one.spread
    reach = spread.high - spread.mean if spread and spread.high is not None else None
    of = "" if len(group.counted) == len(group.runs) else f" of {len(group.runs)}"
    middle = one.middle is not None and one.middle_interval and display.within(one.middle, *one.middle_interval)
    return [
        escaped(group.label) + (f" (without {escaped(group.left_out)})" if group.left_out else ""),
        escaped(task.title),
        display.with_reach(spread.mean, reach) if spread else display.NONE,
        _published(group),
        _counts(one.verdicts),
        f"{len(group.counted)}{of}",
        _target(one),
        escaped(", ".join([*_named(group.baselines), *(f"bound: {one}" for one in _named(group.bounds))]))
        or display.NONE,
        middle or display.NONE,
        display.span(spread.min, spread.max) if spread and spread.n > 1 else display.NONE,
        display.took(one.train),
        escaped(display.rate(one.speed, one.unit)),
    ]


def _counts(verdicts: Mapping[str, int]) -> str:
    return escaped(", ".join(f"{n} {verdict}" for verdict, n in verdicts.items())) or display.NONE


def _target(one: scores.Score) -> str:
    """Our own figure for the group, with the verdicts of its runs."""
    value = number(one.group.target.get("value"))
    return display.NONE if value is None else f"{display.figure(value)}: {_counts(one.target_verdicts)}"


def _published(group: Group) -> str:
    """The published figure of the group."""
    reference = group.reference
    value, spread = (number(reference.get(name)) for name in ("value", "spread"))
    if value is None:
        return display.NONE
    told = display.figure(value) if spread is None else f"{display.figure(value)} ± {display.figure(spread)}"
    other = reference.get("dataset")
    return told if other == group.dataset else f"{told} on {escaped(other)}"


def pairs(found: Sequence[scores.Pair]) -> str:
    """Return how likely a run of one group is better than one of another."""
    rows = []
    for pair in found:
        one = pair.improvement
        sure = display.span(one.low, one.high) if one.low is not None and one.high is not None else display.NONE
        rows.append([escaped(pair.a.label), escaped(pair.b.label), f"{one.probability:.2f}", sure])
    return table(["a run of", "is better than one of", "with probability", "95 % interval"], rows)


def settings(tasks: Sequence[Task]) -> Iterator[tuple[str, str]]:
    """Yield (title, table) of the settings that differ between a task's groups, and between a group's runs."""
    of = {id(run): settings_of(run) for task in tasks for group in task.groups for run in group.runs}
    for task in tasks:
        if differing := between_groups(task, of):
            yield f"{task.title}: between groups", _differing(differing, [one.label for one in differing.columns])
        for group in task.groups:
            if differing := between_runs(group, of):
                heads = [f"{group.called(run)}, {run.record.run_id}" for run in differing.columns]
                yield f"{group.label}: between its runs", _differing(differing, heads)


def _differing(found: Differences, heads: Sequence[str]) -> str:
    rows = [
        [escaped(row.name), *(display.NONE if value is None else escaped(value) for value in row.values)]
        for row in (*found.common, *found.partial)[:MOST_SETTINGS]
    ]
    return table(["setting", *map(escaped, heads)], rows)


def runs(tasks: Sequence[Task], places: Mapping[str, Place]) -> str:
    """Return every run with a link to it on W&B. `places` are by run id."""
    rows = [_row(group, run, places) for task in tasks for group in task.groups for run in group.runs]
    head = ["run", "group", "seed", "status", "verdict", "figure", "training", "device", "git commit"]
    return table(head, rows)


def _row(group: Group, run: Run, places: Mapping[str, Place]) -> list[str]:
    record, place, git = run.record, places.get(run.record.run_id), display.mapping(run.record.git)
    dirty = " with changes" if git.get("dirty") else ""
    return [
        link(record.run_id, place.address) if place else escaped(record.run_id),
        escaped(group.label),
        escaped(record.seed),
        escaped(run.status),
        escaped(record.verdict),
        display.figure(figure(run, group.metric)),
        display.took(number(record.durations.get("train"))),
        escaped(record.device),
        escaped(str(git.get("commit") or "")[:10] + dirty) or display.NONE,
    ]


def versions(runs: Sequence[Run]) -> str:
    """Return the versions that the runs were made with."""
    told = [
        f"{escaped(package)} {escaped(' or '.join(versions))}" for package, versions in common_versions(runs).items()
    ]
    return f"Versions: {', '.join(told)}." if told else "No run says which versions it was made with."


def commands(runs: Sequence[Run]) -> str:
    """Return the commands that repeat the runs."""
    own = resolved(run.record.name for run in runs)
    told = ((run, repeats(run, own)) for run in runs)
    commands = [f"{command}  # {_word(run.record.run_id)}" for run, command in told if command]
    return fenced(commands or ["# no run has a config that can be read"])


def _word(name: str) -> str:
    return re.sub(r"[^\w.-]", "?", name)
