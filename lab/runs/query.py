"""Conditions on recorded runs for `--where`. A small grammar reads them; nothing is executed.

    condition  = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" condition ")" | comparison
    comparison = FIELD ( "<" | "<=" | ">" | ">=" | "=" | "==" | "!=" | "~" ) VALUE

FIELD is a name of `fields.py`; VALUE a number (`400`, `1e-3`, `100MB`), a word or a text in quotes. `and` binds tighter
than `or`, `not` tightest.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from lab.errors import ConfigError
from lab.runs.fields import as_text, check, is_number, value
from lab.runs.select import Run

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
OPERATORS = (*ORDERS, "~")
KEYWORDS = ("and", "or", "not")
UNITS = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
SECONDS = ("train",)
"""Fields that are in seconds, beside those of `durations`."""
DEPTH = 100
"""Parentheses inside each other. More would exhaust Python's stack."""

_TOKEN = re.compile(
    r"""\s*(?: (?P<quoted> '[^']*' | "[^"]*" ) | (?P<operator> <=|>=|==|!=|<|>|=|~ ) | (?P<bracket> [()] )
    | (?P<word> [^\s()<>=!~"']+ ) | (?P<other> \S ) )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(kB|MB|GB)?")

Test = Callable[[Run], bool]


@dataclass(frozen=True)
class Comparison:
    """A field compared with a given value. It is false for a run that does not have the field.

    Args:
        field: name of the field.
        operator: one of `OPERATORS`.
        given: the value as it was written.
    """

    field: str
    operator: str
    given: str

    @property
    def number(self) -> float | None:
        """The given value as a number; None where it is not one."""
        match = _NUMBER.fullmatch(self.given)
        return float(match[1]) * UNITS[match[2] or ""] if match else None

    def __call__(self, run: Run) -> bool:
        found = value(run, self.field)
        if found is None:
            return False
        if self.operator == "~":
            pattern = any(sign in self.given for sign in "*?[")
            return fnmatchcase(as_text(found), self.given) if pattern else self.given in as_text(found)
        test = ORDERS[self.operator]
        if is_number(found):
            return test(found, self.number) if self.number is not None else self.operator == "!="
        if isinstance(found, str):
            return test(found, self.given)
        return self.operator in ("=", "==", "!=") and test(found, _json_or_text(self.given))


@dataclass(frozen=True)
class Query:
    """A parsed condition. Call it with a run.

    Args:
        test: the condition.
        comparisons: all that are in it, from left to right.
    """

    test: Test
    comparisons: tuple[Comparison, ...]

    def __call__(self, run: Run) -> bool:
        return self.test(run)

    def check(self, runs: Sequence[Run]) -> None:
        """Raise ConfigError for a field that none of the runs has, and for a field of numbers compared with a word."""
        check((one.field for one in self.comparisons), runs)
        for one in self.comparisons:
            found = [value(run, one.field) for run in runs] if one.number is None and one.operator != "~" else []
            there = [each for each in found if each is not None]
            if there and all(map(is_number, there)):
                if one.field in SECONDS or one.field.startswith("durations."):
                    raise ConfigError(f"{one.field} is in seconds (as {as_text(there[0])}), received {one.given!r}")
                raise ConfigError(f"{one.field} is a number (as {as_text(there[0])}), received {one.given!r}")


def parse(text: str) -> Query:
    """Return the parsed condition. Raises ConfigError, with the place and what was expected there, for others."""
    return _Reader(text).query()


def where(text: str, runs: Sequence[Run]) -> list[Run]:
    """Return the runs that a condition holds for. Raises ConfigError as `parse` and `Query.check` do."""
    query = parse(text)
    query.check(runs)
    return [run for run in runs if query(run)]


class _Token(NamedTuple):
    kind: str
    text: str
    at: int

    @property
    def is_name(self) -> bool:
        return self.kind == "quoted" or (self.kind == "word" and self.text.lower() not in KEYWORDS)


class _Reader:
    """Reads a condition from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self.text, self.depth = text, 0
        self.tokens = _tokens(text)
        self.next = next(self.tokens)
        self.comparisons: list[Comparison] = []

    def query(self) -> Query:
        test = self._condition()
        if self.next.kind != "end":
            raise self._expected("`and`, `or` or the end")
        return Query(test, tuple(self.comparisons))

    def _condition(self) -> Test:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda run: any(part(run) for part in parts)

    def _all(self) -> Test:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda run: all(part(run) for part in parts)

    def _one(self) -> Test:
        negated = False
        while self._take("not"):
            negated = not negated
        test = self._inner() if self._take("(") else self._comparison()
        return (lambda run: not test(run)) if negated else test

    def _inner(self) -> Test:
        self.depth += 1
        if self.depth > DEPTH:
            raise self._expected(f"at most {DEPTH} parentheses inside each other")
        test = self._condition()
        if not self._take(")"):
            raise self._expected("`and`, `or` or `)`")
        self.depth -= 1
        return test

    def _comparison(self) -> Comparison:
        if not self.next.is_name or (self.next.kind == "word" and _NUMBER.fullmatch(self.next.text)):
            raise self._expected("the name of a field, `not` or `(`")
        field = self._advance()
        if self.next.kind != "operator":
            raise self._expected(f"one of {' '.join(OPERATORS)}")
        sign = self._advance()
        if not self.next.is_name:
            raise self._expected("a number, a word or a text in quotes")
        found = Comparison(field, sign, self._advance())
        self.comparisons.append(found)
        return found

    def _take(self, wanted: str) -> bool:
        """Go on if the next token is this keyword or bracket."""
        there = self.next.kind in ("word", "bracket") and self.next.text.lower() == wanted
        if there:
            self._advance()
        return there

    def _advance(self) -> str:
        """Return the next token's text, and go on."""
        text = self.next.text
        self.next = next(self.tokens)
        return text

    def _expected(self, what: str) -> ConfigError:
        kind, found, at = self.next
        received = "the end" if kind == "end" else repr(found)
        unclosed = ": that quote is not closed" if kind == "other" and found in "'\"" else ""
        return ConfigError(
            f"expected {what} at character {at + 1} of the condition {self.text!r}, received {received}{unclosed}"
        )


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        found = match[kind]
        yield _Token(kind, found[1:-1] if kind == "quoted" else found, match.start(kind))
    yield _Token("end", "", len(text))


def _json_or_text(given: str) -> Any:
    """The word as a JSON value (`true`, `[256,256]`), else as text."""
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given
