"""What a review looks at: the runs, in groups that differ in nothing but seed and fold, and what they claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lab.console.wording import shown
from lab.report.review.claim import Claim
from lab.runs.groups import Group, by_kind
from lab.runs.select import Run


@dataclass(frozen=True)
class Evidence:
    """What a review looks at.

    Args:
        runs: all of them.
        names: the fields by which the report groups runs to one mean.
    """

    runs: Sequence[Run]
    names: Sequence[str] = ("experiment",)

    @property
    def real(self) -> list[Run]:
        """All runs but fast-dev runs."""
        return [run for run in self.runs if not run.record.fast_dev_run]

    @cached_property
    def groups(self) -> list[Group]:
        """The real runs in groups that differ in nothing but seed and fold."""
        return by_kind(self.runs)

    def called(self, run: Run) -> str:
        """Return a real run by its experiment and what tells it from the others of its group: `walk, seed 0`."""
        return f"{shown(run.record.name)}, {self._groups_of[id(run)].called(run)}"

    @cached_property
    def _groups_of(self) -> dict[int, Group]:
        return {id(run): group for group in self.groups for run in group.runs}

    @cached_property
    def claims(self) -> list[Claim]:
        """Each group with each figure that it was judged by, where some run has a verdict."""
        every = [claim for group in self.groups for claim in Claim.of(group)]
        return [claim for claim in every if claim.judged]
