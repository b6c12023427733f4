"""What a careful reviewer would ask about a set of runs, found by itself."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lab.console.wording import count, interval, shown, some
from lab.runs.select import Run
from lab.statistics import spread

WIDTH = 100  # columns of a terminal
INDENT = "   "
COMMAND = re.compile(r"""`((?:lab|git) (?:'[^']*'|"[^"]*"|[^`'"])*)`""")
"""A command in a finding's text. Its quoted words may hold any character, a backtick among them."""

Weight = Literal["major", "minor"]
"""`major`: the figures cannot be taken as they stand. `minor`: they can, but less is known of them than should be."""


@dataclass(frozen=True)
class Finding:
    """One question to the runs.

    Args:
        title: what is asked, in a few words: "fewer than three seeds".
        text: some plain sentences with the figures, and what would settle it; commands stand in backticks.
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
    """One instance of what a finding is about: in words, with its runs, and what to do about it."""

    text: str
    runs: Sequence[Run]
    remedy: str = ""


def fold(
    kind: str, weight: Weight, title: str, cases: Sequence[Case], *, intro: str = "", why: str, remedy: str = ""
) -> Iterator[Finding]:
    """Yield one finding for all cases of a kind, and none for no cases. `remedy` settles them all, beside what settles
    each; its first few are named."""
    if not cases:
        return
    steps = [step for step in dict.fromkeys([remedy, *(case.remedy for case in cases)]) if step]
    text = f"{intro}{some([case.text for case in cases], '; ')}. {why}."
    settle = f" To settle it: {some(steps, '; ')}." if steps else ""
    runs = dict.fromkeys(run.record.run_id for case in cases for run in case.runs)
    yield Finding(title, text + settle, tuple(runs), kind, weight)


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the findings for a terminal, each with its weight, its text and the runs it is about."""
    if not findings:
        yield "nothing to ask: no finding"
        return
    for number, finding in enumerate(findings, start=1):
        yield f"{number}. {finding.title} ({finding.weight}, {count(len(finding.runs), 'run')})"
        yield from _paragraph(finding.text)
        yield from _wrapped(f"runs: {some(finding.runs, most=5)}")
    major = sum(finding.weight == "major" for finding in findings)
    yield f"{count(len(findings), 'finding')}, {major} of them major"


def _paragraph(text: str) -> Iterator[str]:
    """A text with each of its commands on a line of its own, unbroken, so that it can be pasted."""
    for at, part in enumerate(COMMAND.split(text)):
        if at % 2:
            yield f"{INDENT * 2}{_printable(part)}"
        else:
            yield from _wrapped(part.lstrip(" .,;"))  # which stood between a command and what follows


def _wrapped(paragraph: str) -> list[str]:
    """Lines of a terminal's width."""
    return textwrap.wrap(
        _printable(paragraph),
        WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(text: str) -> str:
    """The text with nothing in it by which a name could control the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def mean_with_interval(scores: Iterable[float]) -> str:
    """The mean with its 95 % interval, which takes two scores."""
    found = spread(list(scores))
    if found.low is None or found.high is None:
        return shown(found.mean)
    return f"{shown(found.mean)} (95 % interval {interval(found.low, found.high)})"
