"""Questions to what is compared with what: budgets, protocols, settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any

from lab.console.wording import count, shown, some, told, word
from lab.report.review.findings import Case, Finding, fold
from lab.report.review.replicates import Evidence, Replicates, here, place
from lab.runs.designs import BUDGET, PROTOCOL, TASK, design, differing
from lab.runs.readings import number
from lab.runs.select import Run, group

REFERENCE = tuple(f"reference.{name}" for name in ("metric", "value", "tolerance", "direction"))
HASH = "data hash"

SAMPLES = "model.nll_samples"
"""The setting by which a bound on the likelihood gets tighter."""

STOPS = ("evaluation.stop_at", "trainer.early_stopping")
"""Settings that end training before its budget is used up, which then says nothing of how long it was."""


def unequal_budgets(evidence: Evidence) -> Iterator[Finding]:
    """Training of other lengths, under one name or between what is compared. What may end early is left out."""
    cases = []
    for name, every in _under_one_name(evidence):
        groups = [each for each in every if not _may_end_early(each)]
        if len({_budget(each) for each in groups}) > 1:
            text = f"{name}: {_each(groups, _budget)}"
            cases.append(Case(text, _runs(groups), f"train all {name} for the same length"))
    for task, every in _compared(evidence):
        groups = [each for each in every if not _may_end_early(each)]
        for setting, unit in BUDGET.items():  # one at a time: steps do not compare with epochs
            having = [(each, length) for each in groups if (length := number(each.runs[0].value(setting))) is not None]
            trained, lengths = [each for each, _ in having], {length for _, length in having}
            if len({each.name for each in trained}) > 1 and len(lengths) > 1:
                shortest = f"compare {task} after {shown(min(lengths))} {unit}, on the curves"
                cases.append(Case(f"{task}: {_each(trained, _budget)}", _runs(trained), shortest))
    yield from fold(
        "unequal-budgets",
        "minor",
        "unequal budgets",
        cases,
        why="What trained longer has a lead that is not the method's",
    )


def unequal_protocols(evidence: Evidence) -> Iterator[Finding]:
    """Figures under one name, or compared with each other, that were measured in other ways."""
    cases: list[Case] = []
    for name, groups in _under_one_name(evidence):
        cases += _differences(name, groups, [*PROTOCOL, HASH, *REFERENCE])
    for task, groups in _compared(evidence):
        if len({each.name for each in groups}) > 1:
            cases += _differences(task, groups, [*PROTOCOL, HASH, *TASK])
    yield from fold(
        "unequal-protocols",
        "minor",
        "measured in different ways",
        cases,
        why="Such figures do not compare as they stand",
        remedy="evaluate them again under one protocol, as `lab eval RUN --evaluation.episodes=100` or "
        "`--model.nll_samples=5000` does, or do not set them side by side",
    )


def missed_by_a_bound(evidence: Evidence) -> Iterator[Finding]:
    """`missed` by a figure that, as its description says, is a bound on the wrong side of the true one, with fewer
    samples than the protocol of the published figure has. `met` stays met whatever their number."""
    cases = []
    for each in evidence.groups:
        missed = {seed: run for seed, run in each.judged.items() if run.record.verdict == "missed"}
        runs = [run for run in missed.values() if _is_bound(run, each)]
        samples, published = number(runs[0].value(SAMPLES)) if runs else None, _samples(each)
        if samples is not None and samples < published:
            text = (
                f"{each.label} missed with {told({seed: each.scores[seed] for seed in missed})} from "
                f"{count(int(samples), 'sample')} ({each.published} from {published:,})"
            )
            cases.append(Case(text, runs, f"`lab eval {place(runs[0])} --{SAMPLES}={published}`"))
    yield from fold(
        "missed-by-bound",
        "minor",
        "missed by a bound",
        cases,
        why="With more samples the figure gets better, and it may have been met",
    )


def mixed_settings(evidence: Evidence) -> Iterator[Finding]:
    """Runs that the report puts into one mean though their methods differ."""
    finished = [run for run in evidence.real if run.status == "completed"]
    cases = []
    for (*key, _), runs in group(finished, [*evidence.names, "dataset.name"]).items():
        designs = {design(run) for run in runs}
        if len(designs) > 1:
            names = [name for name in differing(runs) if name not in (*BUDGET, *PROTOCOL, HASH, *REFERENCE)]
            text = f"{shown(key)}: {len(runs)} runs, {len(designs)} settings of {some(names)}"
            fields = ",".join([*evidence.names, *names[:3]])
            cases.append(Case(text, runs, f"`{here(f'lab report --group-by {word(fields)}', runs)}`"))
    yield from fold(
        "mixed-settings",
        "minor",
        "several settings under one name",
        cases,
        why="A mean over them is of no one method, and the best of them was picked by the figure that it is judged by",
    )


def _under_one_name(evidence: Evidence) -> Iterator[tuple[str, list[Replicates]]]:
    """Groups of one experiment, design and task: they differ in budget or protocol only."""
    found: dict[Hashable, list[Replicates]] = {}
    for each in evidence.groups:
        if each.counted:
            found.setdefault((each.name, _data(each), design(each.runs[0])), []).append(each)
    yield from ((shown(groups[0].name), groups) for groups in found.values() if len(groups) > 1)


def _compared(evidence: Evidence) -> Iterator[tuple[str, list[Replicates]]]:
    """Groups that have figures of the same metric on data or an environment of the same name."""
    found: dict[Hashable, list[Replicates]] = {}
    for each in evidence.groups:
        if each.counted:
            found.setdefault((_data(each), each.metric), []).append(each)
    yield from ((f"{_data(groups[0])} by {groups[0].metric}", groups) for groups in found.values() if len(groups) > 1)


def _differences(what: str, groups: Sequence[Replicates], names: Sequence[str]) -> Iterator[Case]:
    for name in names:
        having = [each for each in groups if _setting(each, name) is not None]
        if len({repr(_setting(each, name)) for each in having}) > 1:
            yield Case(f"{what}, {name} {_each(having, partial(_shown_setting, name=name))}", _runs(having))


def _setting(each: Replicates, name: str) -> Any:
    run = each.runs[0]
    if name == HASH:
        return str(run.record.dataset.get("sha256") or "")[:12] or None
    return run.record.reference.get(name.partition(".")[2]) if name in REFERENCE else run.value(name)


def _shown_setting(each: Replicates, name: str) -> str:
    return shown(_setting(each, name))


def _each(groups: Sequence[Replicates], value: Callable[[Replicates], str]) -> str:
    """`100,000 steps (ppo-a: 5 runs), 50,000 steps (dqn-a, dqn-b: 4 runs)`."""
    found: dict[str, list[Replicates]] = {}
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


def _budget(each: Replicates) -> str:
    lengths = ((number(each.runs[0].value(setting)), unit) for setting, unit in BUDGET.items())
    return " and ".join(f"{shown(length)} {unit}" for length, unit in lengths if length is not None) or "no length"


def _may_end_early(each: Replicates) -> bool:
    return any(each.runs[0].value(name) is not None for name in STOPS)


def _is_bound(run: Run, each: Replicates) -> bool:
    """Whether the true figure is better than the run's, by the description of its metric."""
    side = "upper bound" if each.reference.get("direction") == "min" else "lower bound"
    return side in str(run.record.descriptions.get(str(each.metric), ""))


def _samples(each: Replicates) -> int:
    """How many samples the protocol of the published figure has, by its words; 0 where it does not say."""
    protocol = str(each.runs[-1].record.reference.get("protocol", "")).replace(",", "")
    found = re.search(r"\b(\d{1,9}) (?:importance )?samples\b", protocol, re.ASCII)
    return int(found[1]) if found else 0


def _data(each: Replicates) -> str:
    return shown(each.runs[0].record.dataset.get("name"))


def _runs(groups: Sequence[Replicates]) -> list[Run]:
    return [run for each in groups for run in each.counted.values()]
