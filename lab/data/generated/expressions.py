"""Lists of digits inside each other, each with an operator that makes one digit of it: `[MAX 2 9 [MIN 4 7 ] 0 ]` is 9
(ListOps, Nangia & Bowman 2018).

An expression is a list of token ids, as it is written: the digits, then an operator with its bracket for each of
OPERATORS, then CLOSE.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from lab.data.files.text import decoded
from lab.data.inputs.given import Given, padded
from lab.errors import DataError, nearest

Form = Literal["tree", "flat"]

OPERATORS = ("MIN", "MAX", "MED", "SM")
"""Smallest, greatest, median (of the two in the middle the mean, rounded down), and sum modulo 10."""
DIGITS = 10
CLOSE = DIGITS + len(OPERATORS)
NAMES = (*map(str, range(DIGITS)), *(f"[{name}" for name in OPERATORS), "]")
"""How each token is written."""
PROBABILITY, DEEPEST = 0.35, 4  # that an argument is an expression itself, and operators above each other at most
ARGUMENTS, TOKENS = (2, 4), (8, 60)  # fewest and most of an operator, and of an expression


def expressions(count: int, seed: int, known: Collection[tuple[int, ...]] = ()) -> list[tuple[int, ...]]:
    """Return so many different expressions that are not among the known ones. They follow from the seed."""
    random, found = _uniform(np.random.Generator(np.random.PCG64(seed))), dict[tuple[int, ...], None]()
    while len(found) < count:
        drawn = tuple(_drawn(random, 1))
        if TOKENS[0] <= len(drawn) <= TOKENS[1] and drawn not in known:
            found[drawn] = None
    return list(found)


def value_of(expression: Sequence[int]) -> int:
    """Return the digit that an expression makes."""
    stack: list[list[int]] = [[]]
    for token in expression:
        if token < CLOSE:
            stack[-1].append(token) if token < DIGITS else stack.append([token])
        else:
            operator, *given = stack.pop()
            stack[-1].append(applied(operator, given))
    return stack[0][0]


def root_alone(expression: Sequence[int]) -> int:
    """Return what the outermost operator makes of its own digits alone; 0 where it has none."""
    depth, own = 0, list[int]()
    for token in expression:
        if token < DIGITS and depth == 1:
            own.append(token)
        depth += (DIGITS <= token < CLOSE) - (token == CLOSE)
    return applied(expression[0], own) if own else 0


def applied(operator: int, given: Sequence[int]) -> int:
    """Return what an operator makes of digits, at least one."""
    ordered = sorted(given)
    middle = len(ordered) // 2
    name = OPERATORS[operator - DIGITS]
    if name == "MED":
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2
    return {"MIN": ordered[0], "MAX": ordered[-1], "SM": sum(ordered) % DIGITS}[name]


def as_tree(expression: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the tokens of its nodes, without closing brackets, and the parents of nodes, as
    `lab.nn.sequences.trees` has them."""
    tokens, parents, open_nodes = list[int](), list[int](), [0]
    for token in expression:
        if token == CLOSE:
            open_nodes.pop()
            continue
        tokens.append(token)
        parents.append(open_nodes[-1])
        if token >= DIGITS:
            open_nodes.append(len(tokens))
    return tokens, parents


def depth_of(expression: Sequence[int]) -> int:
    """Return how many operators stand above each other at most."""
    steps = [(DIGITS <= token < CLOSE) - (token == CLOSE) for token in expression]
    return int(np.cumsum(steps).max())


def parts_of(expression: Sequence[int], known: Collection[tuple[int, ...]] = ()) -> list[tuple[int, ...]]:
    """Return the longest part with at most 1, 2, ... operators above each other, up to the whole expression; of equally
    long ones, the first. Known expressions are no parts."""
    longest, begun = list[tuple[int, ...]](), list[int]()
    heights = [0]  # operators above each other so far, below each open bracket
    for place, token in enumerate(expression):
        if DIGITS <= token < CLOSE:
            begun.append(place)
            heights.append(0)
        elif token == CLOSE:
            start, height = begun.pop(), heights.pop() + 1
            heights[-1] = max(heights[-1], height)
            longest += [()] * (height - len(longest))
            part = tuple(expression[start : place + 1])
            if len(part) > len(longest[height - 1]) and part not in known:
                longest[height - 1] = part
    for height in range(1, len(longest)):
        longest[height] = max(longest[height], longest[height - 1], key=len)
    return longest


def parsed(text: str) -> list[int]:
    """Return the expression that is written. Raises DataError where it is none."""
    names = text.upper().replace("[", " [").replace("]", " ] ").split()
    for name in names:
        if name not in NAMES:
            raise DataError(f"an expression has {', '.join(NAMES)}, received {name!r}{nearest(name, NAMES)}")
    found = [NAMES.index(name) for name in names]
    depth = 0
    for place, token in enumerate(found):
        depth += (DIGITS <= token < CLOSE) - (token == CLOSE)
        empty = token == CLOSE and place and DIGITS <= found[place - 1] < CLOSE
        if depth < (place < len(found) - 1) or empty:
            raise DataError(
                f"an expression is an operator with at least one argument and its bracket closed, such as [MAX 2 9 ], "
                f"received {' '.join(names[: place + 1])!r}"
            )
    if depth or len(found) < len(("[MAX", "2", "]")):
        raise DataError(f"an expression such as [MAX 2 9 ] was expected, received {text.strip()!r}")
    return found


@dataclass(frozen=True)
class Expressions:
    """Reads expressions, one on each line, as a batch of trees or of sequences of tokens, with a mask.

    Args:
        form: `tree`: nodes with their parents; `flat`: the tokens as they are written.
        length: most nodes or tokens that the model takes.
    """

    form: str
    length: int
    suffixes: ClassVar = (".txt",)

    def read(self, content: bytes, name: str) -> Given:
        """Return the expressions of a text. Raises DataError where a line is none, or is too long."""
        lines = [(place, line) for place, line in enumerate(decoded(content, name).split("\n"), 1) if line.strip()]
        read = [self._parsed(line, f"{name}, line {place}: ") for place, line in lines]
        return self._given(read, [{"line": place} for place, _ in lines])

    def read_text(self, text: str) -> Given:
        """Return one expression."""
        return self._given([self._parsed(text, "")], [{}])

    def _parsed(self, text: str, where: str) -> list[int]:
        try:
            found = parsed(text)
        except DataError as error:
            raise DataError(f"{where}{error}") from None
        size = len(as_tree(found)[0]) if self.form == "tree" else len(found)
        if size > self.length:
            what = "nodes" if self.form == "tree" else "tokens"
            raise DataError(f"{where}the model takes at most {self.length} {what}, received {size}")
        return found

    def _given(self, read: Sequence[Sequence[int]], labels: Sequence[dict[str, int]]) -> Given:
        parts = [self.parts(one) for one in read]
        tokens, mask = padded([torch.tensor(one["tokens"]) for one in parts])
        if self.form == "flat":
            return Given(tokens, labels, mask=mask)
        parents, _ = padded([torch.tensor(one["parents"]) for one in parts])
        return Given({"tokens": tokens, "parents": parents}, labels, mask={"tokens": mask, "parents": mask})

    def parts(self, expression: Sequence[int]) -> dict[str, Sequence[int]]:
        """Return what a model takes of an expression, by name."""
        if self.form == "flat":
            return {"tokens": expression}
        tokens, parents = as_tree(expression)
        return {"tokens": tokens, "parents": parents}

    def written(self, inputs: Mapping[str, Sequence[int]]) -> str:
        """Return an expression as text, given what a model takes of it."""
        tokens = inputs["tokens"]
        if self.form == "flat":
            return " ".join(NAMES[token] for token in tokens)
        words, open_nodes = list[str](), [0]
        for place, (token, above) in enumerate(zip(tokens, inputs["parents"], strict=True), 1):
            while open_nodes[-1] != above:
                words.append(NAMES[CLOSE])
                open_nodes.pop()
            words.append(NAMES[token])
            if token >= DIGITS:
                open_nodes.append(place)
        return " ".join([*words, *NAMES[CLOSE:] * (len(open_nodes) - 1)])


def _drawn(random: Iterator[float], depth: int) -> Iterator[int]:
    yield DIGITS + int(next(random) * len(OPERATORS))
    fewest, most = ARGUMENTS
    for _ in range(fewest + int(next(random) * (most - fewest + 1))):
        if depth < DEEPEST and next(random) < PROBABILITY:
            yield from _drawn(random, depth + 1)
        else:
            yield int(next(random) * DIGITS)
    yield CLOSE


def _uniform(random: np.random.Generator) -> Iterator[float]:
    while True:
        yield from random.random(10_000).tolist()
