"""Sentences with dates, amounts and names in them, by rule. A word alone does not tell what it is part of: `may` is a
month, a name or a verb, and `12` is part of a date, of an amount or of neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Random = np.random.Generator

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
FIRST = (
    *("april", "may", "june", "august", "mark", "will", "grant", "bill", "rose", "penny"),
    *("frank", "ada", "noor", "ivan", "lena", "omar", "iris", "hugo"),
)
LAST = (
    *("march", "may", "pound", "day", "marks", "june", "sterling", "little", "hill", "price"),
    *("king", "young", "case", "second", "lund", "costa", "okoro", "weiss"),
)
TITLES = ("mr", "ms", "dr", "judge", "captain")
UNITS = ("pounds", "euros", "dollars", "marks", "pence", "kilos", "litres", "days")
SCALES = ("hundred", "thousand", "million")
WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "tenth")
THINGS = ("rooms", "letters", "pages", "chairs", "copies", "boxes")
TAGS = ("O", "B-date", "I-date", "B-amount", "I-amount", "B-name", "I-name")

TRAINING = (
    "{name} paid {amount}",
    "{name} paid {name} {amount}",
    "we met {name}",
    "{name} owes {name} {amount}",
    "the price rose to {amount}",
    "the price was {amount}",
    "you may ask {name} about the {number} {things}",
    "we may pay {amount}",
    "they will march to room {number}",
    "{name} will pay for the {number} {things}",
    "will {name} sell the {things}",
    "may {name} keep the {number} {things}",
    "the bill of {amount} came",
    "the bill of {date} is for {name}",
    "the letter of {month} was for {name}",
    "the bill for {name} came",
    "a grant of {amount} went to {name}",
    "mark page {number} for {name}",
    "mark {date} as the day of {name}",
    "{name} and {name} share {amount}",
    "{name} , who has {number} {things} , may come",
    "the {things} cost {amount}",
    "the {number} {things} stay in room {number}",
    "{name} has room {number}",
    "the {ordinal} letter from {name} is of {date}",
    "{name} took the {ordinal} room",
    "{name} sold {number} {things}",
    "a little hill of {number} {things} stood there",
    "the judge asked {name} for {amount}",
    "the young king gave {name} {amount}",
    "give {name} {number} {things}",
    "give {name} {amount}",
    "{number} {things} are worth {amount}",
    "{amount} is due",
    "{name} came for {number} {things}",
    "we march if {name} may come",
    "lend {amount} to {name}",
    "we sold {name} the {things}",
    "will you march with {name}",
    "the {things} of {name} stay in room {number}",
    "{name} wrote to {name} and {name}",
    "{name} has {number} {things} of {name}",
    "take {amount} from {name}",
    "the {ordinal} page , for {name} , is worth {amount}",
    "send {name} the {number} {things}",
    "{name} will pay {name} {amount}",
    "they gave us {number} {things}",
    "the case of {name} , of {date} , is due",
    "you may keep the {things} from {name}",
    "will {name} and {name} pay {amount}",
)
"""Clauses with places for what has tags, and for other numbers, things and ordinals."""
VALIDATION = (
    "{name} gave {name} {amount}",
    "the {number} {things} cost {amount}",
    "will {name} come",
    "the letter of {date} was for {name}",
    "we sold {name} {number} {things}",
    "you may pay {name} {amount}",
    "{name} has asked us for {amount}",
    "the {number} {things} of {name} are due",
    "may {name} and {name} come",
    "give {amount} to {name} by {date}",
)
TEST = (
    "{name} took {amount} from {name}",
    "{name} gave us {amount}",
    "may {name} pay for the {things}",
    "they may ask {name} for {amount}",
    "the grant of {date} went to {name} and {name}",
    "{name} has owed us {amount}",
    "the {ordinal} bill , of {amount} , is due",
    "{name} will come to room {number}",
    "give the {number} {things} to {name}",
    "the {things} are worth {amount}",
    "the {number} {things} of {name} came",
    "will you sell {name} the {things}",
)
TIMES = ("on {date}", "on {date}", "in {month}", "since {month}", "by {date}", "until {date}", "from {date}")
MORE = (
    "for {amount}",
    "for {name}",
    "with {name}",
    "in the case of {name}",
    "for {number} {things}",
    "in room {number}",
)
"""What any clause may have besides."""
JOINTS = ("and", ", and", ", but", ";")
_PLACE = re.compile(r"\{(\w+)\}")


class Sentence(NamedTuple):
    """Words and the number of each one's tag in TAGS."""

    words: tuple[str, ...]
    tags: tuple[int, ...]


def sentences(clauses: Sequence[str], count: int, random: Random) -> list[Sentence]:
    """Return so many different sentences of one clause, or of two with a joint between them. A clause may have a time
    before it or after it, and what else belongs to it."""
    found: dict[tuple[str, ...], Sentence] = {}
    while len(found) < count:
        template = _template(clauses, random)
        if random.random() < 0.25:
            template = f"{template} {_one(JOINTS, random)} {_template(clauses, random)}"
        words, tags = _filled(template, random)
        found.setdefault(tuple(words), Sentence(tuple(words), tuple(tags)))
    return list(found.values())


def _template(clauses: Sequence[str], random: Random) -> str:
    clause = _one(clauses, random)
    before, more, after = (random.random(3) < (0.3, 0.4, 0.5)).tolist()
    if before:  # a comma where a number follows, which could belong to the date
        comma = clause.startswith(("{number}", "{amount}")) or random.random() < 0.3
        clause = f"{_one(TIMES, random)}{' ,' if comma else ''} {clause}"
    clause = f"{clause} {_one(MORE, random)}" if more else clause
    return f"{clause} {_one(TIMES, random)}" if after else clause


def _filled(template: str, random: Random) -> tuple[list[str], list[int]]:
    words, tags = list[str](), list[int]()
    for part in template.split():
        place = _PLACE.fullmatch(part)
        kind = place[1] if place else part
        own = _PLACES[kind](random).split() if place else [part]
        words += own
        tag = TAGS.index(f"B-{_TAGGED[kind]}") if place and kind in _TAGGED else 0
        tags += [tag and tag + (number > 0) for number in range(len(own))]
    return words, tags


def _one(choices: Sequence[str], random: Random) -> str:
    return choices[int(random.integers(len(choices)))]


def _day(random: Random) -> str:
    return str(random.integers(1, 32))


def _year(random: Random) -> str:
    return str(random.integers(1990, 2030))


def _number(random: Random) -> str:
    """A number that could be a day, a year, or the beginning of an amount; also a range of them."""
    kind = random.integers(5)
    if kind == 0:
        return _year(random)
    if kind == 1:
        return _one(WORDS, random)
    return _range(random) if kind == 2 else _day(random)


def _range(random: Random) -> str:
    first = random.integers(1, 31)
    return f"{first} to {random.integers(first + 1, 32)}"


def _date(random: Random) -> str:
    day, month, year = _day(random), _one(MONTHS, random), _year(random)
    forms = (
        f"{day} {month}",
        f"{month} {day}",
        f"{day} {month} {year}",
        f"{month} {day} , {year}",
        f"{_range(random)} {month}",
        f"the {_one(ORDINALS, random)} of {month}",
        f"the {_one(ORDINALS, random)}",
    )
    return _one(forms, random)


def _month(random: Random) -> str:
    month, year = _one(MONTHS, random), _year(random)
    return _one((month, f"{month} {year}", year), random)


def _amount(random: Random) -> str:
    number, unit = _number(random), _one(UNITS, random)
    forms = (
        f"{number} {unit}",
        f"{number} {unit}",
        f"{number} {_one(SCALES, random)} {unit}",
        f"{number} pounds {_day(random)}",
        f"{number} and a half {unit}",
        f"a {_one(SCALES, random)} {unit}",
    )
    return _one(forms, random)


def _name(random: Random) -> str:
    first, second, last = _one(FIRST, random), _one(FIRST, random), _one(LAST, random)
    return _one((first, f"{first} {last}", f"{_one(TITLES, random)} {last}", f"{first} {second} {last}"), random)


_PLACES: dict[str, Callable[[Random], str]] = {
    "name": _name,
    "date": _date,
    "month": _month,
    "amount": _amount,
    "number": _number,
    "things": lambda random: _one(THINGS, random),
    "ordinal": lambda random: _one(ORDINALS, random),
}
_TAGGED = {"name": "name", "date": "date", "month": "date", "amount": "amount"}
