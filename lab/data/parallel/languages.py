"""A pair of made-up languages: one is what a few rules make of the other."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import NamedTuple

import numpy as np

from lab.data.parallel.pairs import Pairs

DETERMINERS = {"ta": "the", "mo": "a"}
NOUNS = {
    "belu": "dog",
    "karo": "child",
    "tima": "house",
    "sopi": "boat",
    "wendo": "tree",
    "lirak": "bird",
    "pano": "man",
    "gusel": "woman",
    "rito": "ball",
    "femu": "river",
}
PLURAL = {"child": "children", "man": "men", "woman": "women"}
ADJECTIVES = {"nuk": "red", "osil": "small", "varo": "old", "deme": "green", "hapi": "happy", "luno": "tall"}
VERBS = {"mirot": "sees", "sakot": "carries", "firot": "finds", "dulot": "follows", "benot": "paints"}
PLACES = {"iro": "near", "ula": "behind", "esa": "under"}


class Phrase(NamedTuple):
    """A noun with what belongs to it, in both languages."""

    source: str
    target: str
    plural: bool


@cache
def languages() -> Pairs:
    """1,200 pairs of sentences, no source twice, of which 1,000 train, 100 validate and 100 test.

    The source has the verb at its end and adjectives after their noun, marks plurals by `-im` at the noun and at its
    adjective, and says places before all else; the target is in the order of English.
    """
    random = np.random.Generator(np.random.PCG64(11))
    pairs: dict[str, str] = {}
    while len(pairs) < 1_200:
        source, target = _sentence(random)
        pairs.setdefault(source, target)
    every = [*pairs.items()]
    digest = hashlib.sha256("\n".join("\t".join(pair) for pair in every).encode()).hexdigest()
    return Pairs((every[:1_000], every[1_000:1_100], every[1_100:]), digest)


def _sentence(random: np.random.Generator) -> tuple[str, str]:
    subject, thing = _phrase(random), _phrase(random)
    verb, does = _one(random, VERBS)
    verb, does = (f"{verb}a", _without_s(does)) if subject.plural else (verb, does)
    source, target = f"{subject.source} {thing.source} {verb} .", f"{subject.target} {does} {thing.target} ."
    if random.random() < 0.4:
        (where, place), other = _one(random, PLACES), _phrase(random)
        source, target = f"{other.source} {where} {source}", f"{target[:-2]} {place} {other.target} ."
    return source, target


def _phrase(random: np.random.Generator) -> Phrase:
    (noun, name), (determiner, article) = _one(random, NOUNS), _one(random, DETERMINERS)
    adjective, quality = _one(random, ADJECTIVES) if random.random() < 0.6 else ("", "")
    plural = bool(random.random() < 0.3)
    if plural:
        noun, name = f"{noun}im", PLURAL.get(name, f"{name}s")
        adjective, article = adjective and f"{adjective}im", "the" if article == "the" else "some"
    return Phrase(" ".join(filter(None, (determiner, noun, adjective))), _joined(article, quality, name), plural)


def _joined(article: str, quality: str, name: str) -> str:
    first = quality or name
    article = "an" if article == "a" and first[0] in "aeiou" else article
    return " ".join(filter(None, (article, quality, name)))


def _without_s(verb: str) -> str:
    return "carry" if verb == "carries" else verb[:-1]


def _one(random: np.random.Generator, words: dict[str, str]) -> tuple[str, str]:
    return [*words.items()][int(random.integers(len(words)))]
