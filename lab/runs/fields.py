"""Fields of recorded runs by name, for `--where`, `--sort`, `--columns` and `--group-by`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lab.config.files import setting
from lab.errors import ConfigError, nearest
from lab.runs.select import Run, flat
from lab.runs.summary import Summary

SETTING = "config."
"""Prefix of a setting whose name is also a field of the summary: `config.device` may be `auto`."""
MEAN = "_mean"
"""Ending of a metric's name that may be omitted."""


def result_metric(run: Run) -> str:
    """Return the metric that says how a run did: of its reference, else of its target, else the first; "" for none."""
    return metric_of(run.record)


def metric_of(record: Summary) -> str:
    """Return the same for the summary of a run."""
    return str(record.reference.get("metric") or record.target.get("metric") or next(iter(record.metrics), ""))


OWN: dict[str, Callable[[Run], Any]] = {
    "result": lambda run: run.record.metrics.get(result_metric(run)),
    "target": lambda run: run.record.target_verdict if run.record.target else None,
    "train": lambda run: run.record.durations.get("train"),
    "disk": lambda run: run.disk,
    "parent": lambda run: (run.record.parent or {}).get("run_id"),
}
"""What `lab runs` shows besides: result, verdict on the target, seconds of training, bytes on the disk, id of the run
that it was forked from."""

SHOWN = ("run", "experiment", "family", "status", "seed", "verdict", "device", *OWN)


def value(run: Run, name: str) -> Any:
    """Return a field of a run as `Run.value` does, or one of `OWN`; None where the run has none.

    `eval/return` is short for `eval/return_mean`. A class is its dotted path. A group of settings is no field.
    """
    for metric in (name, name + MEAN):
        if metric in run.record.metrics:
            return run.record.metrics[metric]
    if "/" in name.split(".")[0]:
        return None  # metrics alone have names like that: no config need be read
    if name in OWN:
        return OWN[name](run)
    found = setting(run.config, name.removeprefix(SETTING)) if name.startswith(SETTING) else run.value(name)
    return found.get("class_path") if isinstance(found, Mapping) else found


def everything(run: Run) -> dict[str, Any]:
    """Return all fields of a run, flat, under the names that `value` takes."""
    record = asdict(run.record)
    metrics = record.pop("metrics")
    del record["configs"]
    shown = {name: value(run, name) for name in SHOWN}
    twice = {"name", "run_id", *shown}  # the first two are called `experiment` and `run`
    summary = {name: found for name, found in flat(record).items() if name not in twice}
    settings = {}
    for name, found in flat(run.config).items():
        recorded = record["name"] if name == "name" else shown.get(name, summary.get(name))
        if name not in {*twice, *summary}:
            settings[name] = found
        elif found != recorded:
            settings[SETTING + name] = found
    return {**shown, **metrics, **summary, **settings}


def check(names: Iterable[str], runs: Sequence[Run]) -> None:
    """Raise ConfigError, with the nearest name, for a name under which no run has a field.

    A field that is empty in all of them is one, as long as they have it. Without any runs all is well.
    """
    for name in names if runs else ():
        if all(value(run, name) is None for run in runs):
            known = list({known: None for run in runs for known in everything(run)})
            if name not in known:
                raise ConfigError(f"no chosen run has a field {name!r}{_hint(name, known)}")


def as_text(found: Any) -> str:
    """Return a field's value as one line: texts as they are, other values as JSON; "" for None."""
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found)


def is_number(found: Any) -> bool:
    """Return whether a field's value is a number. True and False are not."""
    return isinstance(found, int | float) and not isinstance(found, bool)


def _hint(name: str, known: Sequence[str]) -> str:
    inside = [one for one in known if one.startswith(f"{name}.")]
    if inside:
        return f": it is a group, with {', '.join(inside[:4])}"
    with_it = [one for one in known if name in re.split("[/._]", one)]
    if with_it:
        return f"; there is {', '.join(with_it[:4])}"
    short = [one.removesuffix(MEAN) for one in known if "/" in one]
    return nearest(name, [*known, *short]) or "; `lab runs --export csv` has them all"
