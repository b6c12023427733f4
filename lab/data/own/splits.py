"""Which of the user's examples are trained on and which are tested, by the hash of what is in them.

Copies of one example are on one side, whatever they are called, and no split depends on names or order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lab.console.wording import count, some
from lab.data.own.folders import Folder, Side
from lab.errors import DataError

TESTED = 0.2
"""Share of the examples that are tested, where no folder says which."""
TEST, VALIDATION = slice(16), slice(16, 32)
"""Digits of the hash by which each is chosen. They differ, so that the choices do not depend on each other."""


class Examples(NamedTuple):
    """Labels of examples and the hex digest of what is in each.

    Args:
        labels: numbers of their classes.
        contents: hashes of what is in them; copies have the same.
        classes: names of the classes.
    """

    labels: Sequence[int]
    contents: Sequence[str]
    classes: Sequence[str]


def divided(folder: Folder, contents: Sequence[str], what: str) -> tuple[list[Side], list[str]]:
    """Return the split of each file of a folder, and what the user should know about it, one sentence each.

    Args:
        folder: whose files are divided as its folders say, and by their content where these do not say what is tested.
        contents: hash of each file.
        what: a file is: `image`.

    Raises DataError where a class has too few examples.
    """
    labels, notes = [file.label for file in folder.files], list[str]()
    sides: list[Side] = [file.side or "train" for file in folder.files]
    if pairs := conflicts(Examples(labels, contents, folder.classes)):
        one, other = (folder.files[i].name for i in pairs[0])
        notes.append(f"{count(len(pairs), what)} in two classes at once: {one} is the same as {other}")
    if "test" in sides:
        trained = {content for content, side in zip(contents, sides, strict=True) if side == "train"}
        both = [
            file.name
            for file, content in zip(folder.files, contents, strict=True)
            if file.side == "test" and content in trained
        ]
        if both:
            notes.append(f"{count(len(both), what)} tested and trained on, as copies are in both folders: {some(both)}")
        return sides, notes
    here = [i for i, side in enumerate(sides) if side == "train"]
    chosen = to_test(Examples([labels[i] for i in here], [contents[i] for i in here], folder.classes), what)
    for i, is_tested in zip(here, chosen, strict=True):
        sides[i] = "test" if is_tested else "train"
    notes.append(by_hash(sum(chosen), len(here), what))
    return sides, notes


def by_hash(test: int, total: int, what: str) -> str:
    """Return the sentence that says which examples are tested."""
    return f"{test:,} of {count(total, what)} are tested: a fifth of each class, chosen by what is in them"


def to_test(examples: Examples, what: str) -> list[bool]:
    """Return for each example whether it is tested: a fifth of each class, and one at least.

    Raises DataError where a class has fewer than two different examples, so that it cannot be trained and tested.
    """
    for label, contents in _by_class(examples).items():
        if len(contents) < 2:
            copies = sum(contents.values())
            told = f"{count(copies, what)}, all the same" if copies > 1 else f"one {what}"
            raise DataError(
                f"the class {examples.classes[label]} has {told}; each class needs two different ones at least, one to "
                "train on and one to test"
            )
    return _chosen(examples, max(1, round(TESTED * len(examples.labels))), TEST)


def held_out(examples: Examples, size: int) -> list[bool]:
    """Return for each training example whether it is held out for validation: `size` in all, and the same share of
    each class."""
    return _chosen(examples, size, VALIDATION)


def _chosen(examples: Examples, size: int, digits: slice) -> list[bool]:
    """Choose `size` examples, those of each class in the order of some digits of their hash: the same share of each
    class and one at least, but never all of it. Copies are chosen together."""
    chosen: set[str] = set()
    # The classes get whole numbers that add up to `size`: what rounding leaves of one share is added to the next.
    seen = given = 0
    for contents in _by_class(examples).values():
        seen += sum(contents.values())
        wanted = round(size * seen / len(examples.labels)) - given
        given += wanted
        left = max(wanted, min(1, size))
        for content in sorted(contents, key=lambda one: one[digits])[:-1]:
            if left > 0:
                chosen.add(content)
                left -= contents[content]
    return [content in chosen for content in examples.contents]


def _by_class(examples: Examples) -> Mapping[int, dict[str, int]]:
    """Return for each class how often each content is there."""
    found: dict[int, dict[str, int]] = {}
    for label, content in zip(examples.labels, examples.contents, strict=True):
        copies = found.setdefault(label, {})
        copies[content] = copies.get(content, 0) + 1
    return dict(sorted(found.items()))


def tenths(texts: Sequence[str], name: str, what: str) -> dict[str, int]:
    """Return the split of each different text: 0 for training, 1 for validation, 2 for the test. A tenth of them is
    tested and another tenth validated, chosen by their hashes.

    Args:
        texts: all of them, copies included.
        name: of their file.
        what: a text is: `source`.

    Raises DataError where there are too few different ones.
    """
    digests = {text: hashlib.sha256(text.encode()).hexdigest() for text in texts}
    ordered = sorted(digests, key=digests.__getitem__)
    if (tested := max(1, len(ordered) // 10)) * 2 >= len(ordered):
        raise DataError(f"{name} has {count(len(ordered), f'different {what}')}; expected at least 3")
    return {text: 2 if place < tested else 1 if place < 2 * tested else 0 for place, text in enumerate(ordered)}


def conflicts(examples: Examples) -> list[tuple[int, int]]:
    """Return pairs of examples that are the same and have different classes, the first pair of each content."""
    first: dict[str, int] = {}
    found: dict[str, tuple[int, int]] = {}
    for i, (label, content) in enumerate(zip(examples.labels, examples.contents, strict=True)):
        other = first.setdefault(content, i)
        if examples.labels[other] != label:
            found.setdefault(content, (other, i))
    return list(found.values())
