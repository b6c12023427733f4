"""What several runs came to: each by itself, and those together that differ only in seed and fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.configuration import Config
from lab.data.base import DatasetInfo
from lab.runs.groups import Group
from lab.runs.reference import PART_OF_A_MEAN, Reference, Target, verdict_on
from lab.runs.select import Run
from lab.runs.summary import Summary
from lab.seeds.children import How
from lab.seeds.vary import named


@dataclass(frozen=True)
class Trial:
    """One of several runs.

    Args:
        settings: that it has and the others have not: its seed, its fold.
        how: it came about.
        exit_code: as of `lab run`.
        seconds: that it took now.
        run: its summary; None where no run was made.
        log: its output, where it failed.
        said: the last lines of that.
    """

    settings: Mapping[str, Any]
    how: How
    exit_code: int
    seconds: float
    run: Summary | None
    log: Path | None = None
    said: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return asdict(self) | {"log": str(self.log) if self.log else None}


@dataclass(frozen=True)
class Outcome:
    """Runs that differ only in seed and fold, and the verdicts on their mean.

    Args:
        settings: varied settings that all of them have, seed and fold aside.
        trials: one at least.
        config: of one of them.
        fast_dev_run: whether they are fast-dev runs.
    """

    settings: Mapping[str, Any]
    trials: Sequence[Trial]
    config: Config
    fast_dev_run: bool = False

    @cached_property
    def group(self) -> Group | None:
        """The runs with their statistics; None where no run was made."""
        return self._group(None)

    @cached_property
    def reference(self) -> dict[str, Any]:
        """The published figure, as in a summary, with the verdict on the mean and its reason."""
        return self._judged(self.config.common.reference)

    @cached_property
    def target(self) -> dict[str, Any]:
        """Our own target in the same form; empty where there is none."""
        return self._judged(self.config.common.target) if self.config.common.target else {}

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        figures = self.group.as_dict() if self.group else {}
        return figures | {"group": dict(self.settings), "reference": self.reference, "target": self.target}

    def _group(self, metric: str | None) -> Group | None:
        runs = tuple(Run(trial.run) for trial in self.trials if trial.run)
        label = ", ".join(filter(None, [self.config.common.name, named(self.settings)]))
        return Group(runs, label, self.settings, metric) if runs else None

    def _judged(self, standard: Reference | Target | None) -> dict[str, Any]:
        """The figure with the verdict on the mean, by the rules for a single run."""
        group = self._group(standard.metric if standard else None)
        recorded = [run for run in group.runs if group.figure(run) is not None] if group else []
        own = [run.record.target if isinstance(standard, Target) else run.record.reference for run in recorded]
        odd = next((at for at, one in enumerate(own) if _does_not_compare(one)), None)
        if group and odd is not None:
            verdict, reason = "not-comparable", f"{group.called(recorded[odd])}: {own[odd].get('reason')}"
        else:
            used = recorded[0].record.dataset if recorded else {"name": standard.dataset if standard else ""}
            counted = {run.record.run_id for run in group.counted} if group else set()
            behind = [trial for trial in self.trials if trial.run and trial.run.run_id in counted]
            verdict, reason = verdict_on(
                standard,
                {standard.metric: group.spread.mean if group and group.spread else None} if standard else {},
                dataset=DatasetInfo(str(used.get("name")), used.get("sha256"), used.get("fallback"), used.get("path")),
                settings=self.config.as_dict(),
                fast_dev_run=self.fast_dev_run,
                averaged={
                    name: len({repr(trial.settings.get(name)) for trial in behind})
                    for name in (standard.mean_over if standard else ())
                },
            )
        return (asdict(standard) if standard else {}) | {"verdict": verdict, "reason": reason}


def _does_not_compare(judged: Mapping[str, Any]) -> bool:
    """Whether a run compares neither by itself nor as one of those behind a mean."""
    part = str(judged.get("reason", "")).startswith(PART_OF_A_MEAN)
    return judged.get("verdict") == "not-comparable" and not part


@dataclass(frozen=True)
class Trials:
    """All runs of one command.

    Args:
        name: of the experiment.
        varied: names of the settings that differ between them.
        trials: one per combination of their values.
        outcomes: the same runs, in groups that differ only in seed and fold.
    """

    name: str
    varied: tuple[str, ...]
    trials: Sequence[Trial]
    outcomes: Sequence[Outcome]

    @property
    def exit_code(self) -> int:
        """The worst of the runs' exit codes."""
        return max(one.exit_code for one in self.trials)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        return {
            "name": self.name,
            "varied": list(self.varied),
            "runs": [one.as_dict() for one in self.trials],
            "groups": [one.as_dict() for one in self.outcomes],
            "exit_code": self.exit_code,
        }
