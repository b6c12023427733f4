"""Runs of a config that exist already."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.configuration import Config, load
from lab.console.notices import notice
from lab.console.wording import near, some
from lab.errors import ConfigError
from lab.runs.folder import at_work
from lab.runs.select import Run, flat, is_own_run
from lab.runs.summary import Summary, local_runs
from lab.saving.surroundings import differences
from lab.tracking.redact import redact


def recorded(
    config: Config, runs: Path, seeds: Collection[int], *, fast_dev_run: bool, trust: bool | None = None
) -> dict[int, Summary]:
    """Return, by seed, the user's own runs under a runs folder that have this resolved config, whatever their seed.

    Of several runs with one seed it is the newest complete one, else the newest that a process works on, else the
    newest. Forks of other runs are left out: they did not begin with this config. So is what somebody else made, unless
    `trust` takes it for the user's own: his figures would be counted as the user's. That is said.
    """
    found: dict[int, Summary] = {}
    left_out: list[str] = []
    wanted = redact(config.as_dict())
    for record in local_runs(runs):  # oldest first
        if record.seed in seeds and record.name == config.common.name and record.fast_dev_run == fast_dev_run:
            before = found.get(record.seed)
            if before and _rank(before) > _rank(record):
                continue
            if record.parent is None and _same(wanted | {"seed": record.seed}, record):
                if trust or is_own_run(record):
                    found[record.seed] = record
                else:
                    left_out.append(near(record.dir))
    if left_out:
        notice(
            f"left out, because not signed as yours: {some(left_out)}; `lab trust RUN` signs what is yours, and "
            "--trust counts it this once"
        )
    return found


def _rank(record: Summary) -> int:
    return 2 if record.status == "completed" else int(at_work(record.dir))


def _same(wanted: dict[str, Any], record: Summary) -> bool:
    """Whether a run has this config. A run that is older than a setting has its default, and a config that leaves the
    number of threads open has that which was measured before the run (`lab.job`)."""
    one, other = flat(wanted), flat(Run(record).config)
    if one["threads"] is None:
        wanted, one["threads"] = wanted | {"threads": other.get("threads")}, other.get("threads")
    if any(one[name] != other[name] for name in one.keys() & other.keys()):
        return False
    if one.keys() == other.keys():
        return True
    with suppress(ConfigError):
        return not list(differences(redact(load(str(record.dir / "config.yaml")).as_dict()), wanted))
    return False
