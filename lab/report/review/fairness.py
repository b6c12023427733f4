"""Questions about what is compared with what: budgets, protocols, settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial

from lab.console.wording import count, shown, some, word
from lab.report.review.claim import Claim
from lab.report.review.commands import here, place
from lab.report.review.evidence import Evidence
from lab.report.review.findings import Case, question
from lab.runs.designs import HASH, REFERENCE, design, differing, measured
from lab.runs.groups import Group
from lab.runs.readings import number
from lab.runs.select import Run, group


@question(
    "unequal-budgets",
    "unequal budgets",
    "minor",
    why="What trained longer may be better for that reason alone",
)
def unequal_budgets(evidence: Evidence) -> Iterator[Case]:
    """Training of different lengths, under one name or between what is compared. What may end early is left out."""
    for name, every in _under_one_name(evidence):
        groups = [each for each in every if not _may_end_early(each)]
        if len({_budget(each) for each in groups}) > 1:
            yield Case(f"{name}: {_each(groups, _budget)}", _runs(groups), f"train all {name} for the same length")
    for task, every in _compared(evidence):
        groups = [each for each in every if not _may_end_early(each)]
        units = {setting: unit for each in groups for setting, unit in each.runs[0].roles.budget.items()}
        for setting, unit in units.items():  # one at a time: steps do not compare with epochs
            having = [(each, length) for each in groups if (length := number(each.runs[0].value(setting))) is not None]
            trained, lengths = [each for each, _ in having], {length for _, length in having}
            if len({each.name for each in trained}) > 1 and len(lengths) > 1:
                shortest = f"compare {task} after {shown(min(lengths))} {unit}, on the curves"
                yield Case(f"{task}: {_each(trained, _budget)}", _runs(trained), shortest)


@question(
    "unequal-protocols",
    "measured in different ways",
    "minor",
    why="Such figures do not compare",
    remedy="evaluate these runs again under one protocol with `lab eval`, or do not compare them",
)
def unequal_protocols(evidence: Evidence) -> Iterator[Case]:
    """Figures under one name, or compared with each other, that were measured in different ways."""
    for name, groups in _under_one_name(evidence):
        yield from _differences(name, groups, [*_measuring(groups), HASH, *REFERENCE])
    for task, groups in _compared(evidence):
        if len({each.name for each in groups}) > 1:
            tasks = dict.fromkeys(name for each in groups for name in each.runs[0].roles.task)
            yield from _differences(task, groups, [*_measuring(groups), HASH, *tasks])


@question(
    "missed-by-bound",
    "missed by a bound",
    "minor",
    why="With more samples the figure gets better, and may meet the published one",
)
def missed_by_a_bound(evidence: Evidence) -> Iterator[Case]:
    """`missed` with a figure whose description calls it a bound on the wrong side of the true one, measured with fewer
    samples than the published figure. A bound that met stays met whatever the number of samples."""
    for claim in evidence.claims:
        missed = [run for run in claim.judged if claim.verdict_of(run) == "missed" and _is_bound(run, claim)]
        setting = next((name for run in missed for name in run.roles.samples), "")
        samples, published = number(missed[0].value(setting)) if setting else None, _samples(claim)
        if samples is not None and samples < published:
            text = (
                f"{claim.group.label} missed with {claim.group.told(missed)} from {count(int(samples), 'sample')} "
                f"({claim.told} from {published:,})"
            )
            yield Case(text, missed, f"`lab eval {place(missed[0])} {word(f'--{setting}={published}')}`")


@question(
    "mixed-settings",
    "several settings under one name",
    "minor",
    why="A mean over them is the mean of no method, and the best of them was chosen by the figure that it is judged by",
)
def mixed_settings(evidence: Evidence) -> Iterator[Case]:
    """Runs with different methods that the report puts into one mean."""
    finished = [run for run in evidence.real if run.status == "completed"]
    for (*key, _), runs in group(finished, [*evidence.names, "dataset.name"]).items():
        designs = {design(run) for run in runs}
        if len(designs) > 1:
            roles = [run.roles for run in runs]
            other = {HASH, *REFERENCE, *(name for one in roles for name in (*one.budget, *one.measuring))}
            names = [name for name in differing(runs) if name not in other]
            text = f"{shown(key)}: {len(runs)} runs, {len(designs)} settings of {some(names)}"
            fields = ",".join([*evidence.names, *names[:3]])
            yield Case(text, runs, f"`{here(f'lab report --group-by {word(fields)}', runs)}`")


def _under_one_name(evidence: Evidence) -> Iterator[tuple[str, list[Group]]]:
    """Groups of one experiment, method and task: they differ in budget or protocol only."""
    found: dict[Hashable, list[Group]] = {}
    for each in evidence.groups:
        if each.counted:
            found.setdefault((each.name, _data(each), design(each.runs[0])), []).append(each)
    yield from ((shown(groups[0].name), groups) for groups in found.values() if len(groups) > 1)


def _compared(evidence: Evidence) -> Iterator[tuple[str, list[Group]]]:
    """Groups that have figures of the same metric on data or an environment of the same name."""
    found: dict[Hashable, list[Group]] = {}
    for each in evidence.groups:
        if each.counted:
            found.setdefault((_data(each), each.metric), []).append(each)
    yield from ((f"{_data(groups[0])} by {groups[0].metric}", groups) for groups in found.values() if len(groups) > 1)


def _measuring(groups: Sequence[Group]) -> list[str]:
    """The settings that say how any of the groups was measured."""
    return list(dict.fromkeys(name for each in groups for name in each.runs[0].roles.measuring))


def _differences(what: str, groups: Sequence[Group], names: Sequence[str]) -> Iterator[Case]:
    for name in names:
        having = [each for each in groups if measured(each.runs[0], name) is not None]
        if len({repr(measured(each.runs[0], name)) for each in having}) > 1:
            yield Case(f"{what}, {name} {_each(having, partial(_measured, name=name))}", _runs(having))


def _measured(each: Group, name: str) -> str:
    return shown(measured(each.runs[0], name))


def _each(groups: Sequence[Group], value: Callable[[Group], str]) -> str:
    """`100,000 steps (ppo-a: 5 runs), 50,000 steps (dqn-a, dqn-b: 4 runs)`."""
    found: dict[str, list[Group]] = {}
    for each in groups:
        found.setdefault(value(each), []).append(each)
    return some(
        [
            f"{text} ({some(list(dict.fromkeys(shown(each.name) for each in alike)), most=2)}: "
            f"{count(len(_runs(alike)), 'run')})"
            for text, alike in found.items()
        ],
        most=4,
    )


def _budget(each: Group) -> str:
    run = each.runs[0]
    lengths = ((number(run.value(setting)), unit) for setting, unit in run.roles.budget.items())
    return " and ".join(f"{shown(length)} {unit}" for length, unit in lengths if length is not None) or "no length"


def _may_end_early(each: Group) -> bool:
    """Whether something else than the budget may end training: then the budget does not say how long it was."""
    return any(each.runs[0].value(name) is not None for name in each.runs[0].roles.stops)


def _is_bound(run: Run, claim: Claim) -> bool:
    """Whether the true figure is better than the run's, by the description of its metric."""
    side = "upper bound" if claim.standard.get("direction") == "min" else "lower bound"
    return side in str(run.record.descriptions.get(str(claim.group.metric), ""))


def _samples(claim: Claim) -> int:
    """How many samples the protocol of the figure names; 0 where it names none."""
    protocol = str(claim.standard.get("protocol", "")).replace(",", "")
    found = re.search(r"\b(\d{1,9}) (?:importance )?samples\b", protocol, re.ASCII)
    return int(found[1]) if found else 0


def _data(each: Group) -> str:
    return shown(each.runs[0].record.dataset.get("name"))


def _runs(groups: Sequence[Group]) -> list[Run]:
    return [run for each in groups for run in each.counted]
