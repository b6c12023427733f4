"""What several seeds of one experiment came to, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.runs.reference import Verdict
from lab.runs.summary import Summary
from lab.seeds.children import How
from lab.statistics import Spread, interquartile_mean, spread


@dataclass(frozen=True)
class SeedRun:
    """One seed's run.

    Args:
        seed: of the run.
        how: it came about.
        exit_code: as of `lab run`.
        seconds: that it took here and now.
        run: its summary; None where it came to none.
        log: what it said, where it failed.
        said: the last lines of that.
    """

    seed: int
    how: How
    exit_code: int
    seconds: float
    run: Summary | None
    log: Path | None = None
    said: str = ""


@dataclass(frozen=True)
class SeedRuns:
    """The runs of several seeds.

    Args:
        name: of the experiment.
        metric: that says how a run did: its reference's, else its first; "" where no run has any.
        runs: one per seed.
        published: the reference, as in a summary, with the verdict on the mean of the seeds and its reason.
    """

    name: str
    metric: str
    runs: Sequence[SeedRun]
    published: dict[str, Any]

    @cached_property
    def values(self) -> dict[int, float]:
        """The metric by seed, of the seeds that came to one."""
        found = {one.seed: one.run.metrics.get(self.metric) for one in self.runs if one.run}
        return {seed: value for seed, value in found.items() if value is not None}

    @property
    def spread(self) -> Spread | None:
        """Mean over the seeds with its 95 % interval; None without a figure."""
        return spread(list(self.values.values())) if self.values else None

    @property
    def interquartile_mean(self) -> float | None:
        """Mean of the middle half of the seeds; None without a figure."""
        return interquartile_mean(list(self.values.values())) if self.values else None

    @property
    def verdict(self) -> Verdict:
        """On the mean of the seeds, as a run's own is on its figure."""
        verdict: Verdict = self.published["verdict"]
        return verdict

    @property
    def exit_code(self) -> int:
        """The worst of the runs' exit codes."""
        return max(one.exit_code for one in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        runs = [asdict(one) | {"log": str(one.log) if one.log else None} for one in self.runs]
        return {
            "name": self.name,
            "metric": self.metric,
            "runs": runs,
            "values": {str(seed): value for seed, value in self.values.items()},
            "spread": asdict(self.spread) if self.spread else None,
            "interquartile_mean": self.interquartile_mean,
            "reference": self.published,
            "exit_code": self.exit_code,
        }
