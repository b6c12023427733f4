"""Questions to a set of runs, and the findings that answer them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from lab.console.plain import plain
from lab.console.wording import count, interval, shown, some
from lab.runs.select import Run
from lab.statistics import spread

if TYPE_CHECKING:
    from lab.report.review.evidence import Evidence

INDENT = "   "
COMMAND = re.compile(r"""`((?:lab|git) (?:'[^']*'|"[^"]*"|[^`'"])*)`""")
"""A command in a finding's text. Its quoted words may hold any character, also a backtick."""

Weight = Literal["major", "minor"]
"""`major`: do not use the figures as they are. `minor`: the figures can be used, but less is known than should be."""


@dataclass(frozen=True)
class Finding:
    """One thing that a reviewer would ask about the runs.

    Args:
        title: what is asked, in a few words: "fewer than three repeats".
        text: a few plain sentences with the figures, and what would settle it. Commands stand in backticks.
        runs: ids of the runs it is about.
        kind: a slug, the same for every finding of this kind: `few-seeds`.
        weight: how grave it is.
    """

    title: str
    text: str
    runs: tuple[str, ...]
    kind: str = ""
    weight: Weight = "major"


class Case(NamedTuple):
    """One instance of a finding: what is the case, for which runs, and what to do about it.

    A case may be graver than its question: then `weight` says so.
    """

    text: str
    runs: Sequence[Run]
    remedy: str = ""
    weight: Weight = "minor"


Find = Callable[["Evidence"], Iterable[Case]]


@dataclass(frozen=True)
class Question:
    """A question to a set of runs. Its answer is one finding for all cases, or none.

    Args:
        find: yields the cases.
        kind: slug of its finding.
        title: of its finding.
        weight: of its finding.
        why: why it matters, as a sentence without its full stop.
        remedy: what settles all cases, beside what settles each.
        intro: beginning of the text, given the evidence and the cases.
    """

    find: Find
    kind: str
    title: str
    weight: Weight
    why: str
    remedy: str = ""
    intro: Callable[[Evidence, Sequence[Case]], str] | None = None

    def ask(self, evidence: Evidence) -> Finding | None:
        """Return the finding; None where there is no case."""
        cases = list(self.find(evidence))
        if not cases:
            return None
        intro = f"{self.intro(evidence, cases)}: " if self.intro else ""
        steps = [step for step in dict.fromkeys([self.remedy, *(case.remedy for case in cases)]) if step]
        settle = f" To settle it: {some(steps, '; ')}." if steps else ""
        text = f"{intro}{some([case.text for case in cases], '; ')}. {self.why}.{settle}"
        runs = dict.fromkeys(run.record.run_id for case in cases for run in case.runs)
        grave = any(case.weight == "major" for case in cases)
        return Finding(self.title, text, tuple(runs), self.kind, "major" if grave else self.weight)


def question(
    kind: str,
    title: str,
    weight: Weight,
    *,
    why: str,
    remedy: str = "",
    intro: Callable[[Evidence, Sequence[Case]], str] | None = None,
) -> Callable[[Find], Question]:
    """Make a question of the function that yields its cases. The arguments are those of `Question`."""
    return lambda find: Question(find, kind, title, weight, why, remedy, intro)


def lines(findings: Sequence[Finding], width: int) -> Iterator[str]:
    """Yield the findings for so many columns, each with its weight, its text and the runs it is about."""
    if not findings:
        yield "no findings"
        return
    for number, finding in enumerate(findings, start=1):
        yield f"{number}. {finding.title} ({finding.weight}, {count(len(finding.runs), 'run')})"
        yield from _paragraph(finding.text, width)
        yield from _wrapped(f"runs: {some(finding.runs, most=5)}", width)
    major = sum(finding.weight == "major" for finding in findings)
    yield f"{count(len(findings), 'finding')}, {major} of them major"


def _paragraph(text: str, width: int) -> Iterator[str]:
    """A text with each command on a line of its own, unbroken, so that it can be pasted."""
    for at, part in enumerate(COMMAND.split(text)):
        if at % 2:
            yield f"{INDENT * 2}{plain(part)}"
        else:
            yield from _wrapped(part.lstrip(" .,;"), width)  # punctuation after a command


def _wrapped(paragraph: str, width: int) -> list[str]:
    """Lines of that width."""
    return textwrap.wrap(
        plain(paragraph),
        width,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def mean_with_interval(scores: Iterable[float]) -> str:
    """Return the mean, with its 95 % interval where there are two scores or more."""
    found = spread(list(scores))
    if found.low is None or found.high is None:
        return shown(found.mean)
    return f"{shown(found.mean)} (95 % interval {interval(found.low, found.high)})"
