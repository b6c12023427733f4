"""The world of the generated stories: people who go to places, take things and leave them; questions about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from typing import NamedTuple

from lab.data.tokenizers.words import Words

PEOPLE = ("mary", "john", "sandra", "daniel", "julie", "bill")
PLACES = ("kitchen", "garden", "office", "bathroom", "hallway", "bedroom")
THINGS = ("apple", "football", "milk", "book")
NUMBERS = ("none", "one", "two", "three")
ANSWERS = (*PLACES, "yes", "no", *NUMBERS)

TASKS = ("one fact", "two facts", "three facts", "yes or no", "counting")
QUESTIONS = {
    "one fact": "where is {person} ?",
    "two facts": "where is the {thing} ?",
    "three facts": "where was the {thing} before the {place} ?",
    "yes or no": "is {person} in the {place} ?",
    "counting": "how many things does {person} carry ?",
}

PHRASES = {
    "go": (
        "{person} went to the {place}",
        "{person} moved to the {place}",
        "then {person} went to the {place}",
        "after that {person} moved to the {place}",
    ),
    "take": ("{person} took the {thing}", "{person} picked up the {thing}", "there {person} took the {thing}"),
    "leave": ("{person} dropped the {thing}", "{person} left the {thing} there", "then {person} dropped the {thing}"),
}
NEW_PHRASES = {
    "go": "to the {place} {person} then moved",
    "take": "the {thing} {person} then picked up",
    "leave": "there {person} left the {thing} after that",
}
"""Of the same words, in sentences of a form that training lacks."""


class Event(NamedTuple):
    """What happens in a sentence: somebody goes to a place, or takes or leaves a thing there."""

    kind: str
    person: str
    place: str
    thing: str = ""


class Story(NamedTuple):
    """A story with its question.

    Args:
        sentences: in order, without full stops.
        question: with its question mark.
        answer: one of ANSWERS.
        facts: numbers of the sentences that the answer needs, from 0, in the order in which one finds them.
        task: one of TASKS.
    """

    sentences: tuple[str, ...]
    question: str
    answer: str
    facts: tuple[int, ...]
    task: str


class Question(NamedTuple):
    """Who, where and what is asked for, the answer, and the numbers of the events that it needs."""

    asked: dict[str, str]
    answer: str
    facts: tuple[int, ...]


def vocabulary() -> Words:
    """Return all words of stories and questions."""
    every = {"person": " ".join(PEOPLE), "place": " ".join(PLACES), "thing": " ".join(THINGS)}
    forms = [*QUESTIONS.values(), *(form for forms in PHRASES.values() for form in forms)]
    return Words.of(form.format(**every) for form in forms)


def story(random: Random, task: str, length: int, *, new_wording: bool = False) -> Story:
    """Return a story of so many sentences, at least 3, whose last events leave something to ask for.

    Args:
        new_wording: whether sentences have the forms that training lacks.
    """
    while True:
        events = happenings(random, length)
        if found := ASK[task](random, events):
            break
    sentences = tuple(
        (NEW_PHRASES[one.kind] if new_wording else random.choice(PHRASES[one.kind])).format(**one._asdict())
        for one in events
    )
    return Story(sentences, QUESTIONS[task].format(**found.asked), found.answer, found.facts, task)


def happenings(random: Random, length: int) -> list[Event]:
    """Return what happens, one event after the other. Nobody takes or leaves a thing before it is told where they
    are, and nobody takes a thing that was left elsewhere."""
    where: dict[str, str] = {}
    carried: dict[str, str] = {}  # by the thing, who
    lies: dict[str, str] = {}
    people = random.sample(PEOPLE, random.randint(2, 4))
    events: list[Event] = []
    while len(events) < length:
        person, kind = random.choice(people), random.choices(("go", "take", "leave"), (5, 4, 2))[0]
        here = where.get(person)
        if kind == "go":
            here = where[person] = random.choice([place for place in PLACES if place != here])
            events.append(Event("go", person, here))
        elif kind == "take" and here:
            free = [one for one in THINGS if one not in carried and lies.get(one, here) == here]
            if free and list(carried.values()).count(person) < len(NUMBERS) - 1:
                thing = random.choice(free)
                carried[thing] = person
                lies.pop(thing, None)
                events.append(Event("take", person, here, thing))
        elif kind == "leave" and here:
            held = [thing for thing, who in carried.items() if who == person]
            if held:
                thing = random.choice(held)
                del carried[thing]
                lies[thing] = here
                events.append(Event("leave", person, here, thing))
    return events


def _moves(events: list[Event], person: str, until: int) -> list[int]:
    """Return the numbers of the events before `until` in which somebody goes to a place."""
    return [i for i, one in enumerate(events[:until]) if one.kind == "go" and one.person == person]


def _ask_person(random: Random, events: list[Event]) -> Question:
    person = random.choice(sorted({one.person for one in events}))
    last = _moves(events, person, len(events))[-1]
    return Question({"person": person}, events[last].place, (last,))


def _ask_thing(random: Random, events: list[Event]) -> Question | None:
    """The last sentence about the thing says who has it or left it, and another one where that person was then."""
    things = sorted({one.thing for one in events if one.thing})
    if not things:
        return None
    thing = random.choice(things)
    last = max(i for i, one in enumerate(events) if one.thing == thing)
    left = events[last].kind == "leave"
    move = _moves(events, events[last].person, last if left else len(events))[-1]
    return Question({"thing": thing}, events[move].place, (last, move))


def _ask_before(random: Random, events: list[Event]) -> Question | None:
    """Somebody took the thing, and carried it from one place to another: where from?"""
    found = [*_carried(events)]
    if not found:
        return None
    took, before, after = random.choice(found)
    asked = {"thing": events[took].thing, "place": events[after].place}
    return Question(asked, events[before].place, (took, after, before))


def _carried(events: list[Event]) -> Iterator[tuple[int, int, int]]:
    """Yield the numbers of three events: a thing is taken, for the last time; it comes to the place before another one;
    and to that one, where it does not come twice."""
    for thing in sorted({one.thing for one in events if one.thing}):
        took = max(i for i, one in enumerate(events) if one.thing == thing and one.kind == "take")
        person = events[took].person
        end = next((i for i in range(took, len(events)) if events[i][::3] == ("leave", thing)), len(events))
        moves = _moves(events, person, end)
        at = [i for i in moves if i < took][-1:] + [i for i in moves if i > took]
        places = [events[i].place for i in at]
        for before, after in pairwise(at):
            if places.count(events[after].place) == 1:
                yield took, before, after


def _ask_whether(random: Random, events: list[Event]) -> Question:
    """Half of the answers are yes. Where it is no, it is often a place of the story."""
    person = random.choice(sorted({one.person for one in events}))
    last = _moves(events, person, len(events))[-1]
    here = events[last].place
    if random.random() < 0.5:
        return Question({"person": person, "place": here}, "yes", (last,))
    others = [one.place for one in events if one.place != here] or [place for place in PLACES if place != here]
    return Question({"person": person, "place": random.choice(others)}, "no", (last,))


def _ask_count(random: Random, events: list[Event]) -> Question:
    """Each number that somebody carries is as likely."""
    held: dict[str, list[int]] = {one.person: [] for one in events}
    for i, one in enumerate(events):
        if one.kind == "take":
            held[one.person].append(i)
        elif one.kind == "leave":
            held[one.person] = [j for j in held[one.person] if events[j].thing != one.thing]
    number = random.choice(sorted({len(facts) for facts in held.values()}))
    person = random.choice(sorted(person for person, facts in held.items() if len(facts) == number))
    return Question({"person": person}, NUMBERS[number], tuple(reversed(held[person])))


ASK: dict[str, Callable[[Random, list[Event]], Question | None]] = {
    "one fact": _ask_person,
    "two facts": _ask_thing,
    "three facts": _ask_before,
    "yes or no": _ask_whether,
    "counting": _ask_count,
}
