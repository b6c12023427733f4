"""Trees of words in brackets, as treebanks write them: `(3 (2 a) (3 (3 good) (2 film)))`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from lab.console.wording import shown
from lab.errors import DataError

_PART = re.compile(r"[()]|[^ \t\r\n()]+")  # a word may have a space that does not break
DEEPEST = 500  # brackets inside each other: no sentence has as many


class Bracketed(NamedTuple):
    """The nodes of a tree in pre-order: each after its parent, and the words in their order.

    Args:
        words: of the leaves; None for inner nodes.
        parents: the place of each one's parent, counted from 1; 0 for the root.
        labels: what the brackets say of each node; "" where they say nothing.
    """

    words: Sequence[str | None]
    parents: Sequence[int]
    labels: Sequence[str]

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(word for word in self.words if word is not None)


def parse_tree(text: str) -> Bracketed:
    """Return the tree that is written. Each pair of brackets holds a label and a word, or a label and two such pairs;
    where no pair has one, labels may be left out: `((a) ((good) (film)))`.

    Raises DataError where it is no such tree.
    """
    words: list[str | None] = []
    parents: list[int] = []
    labels: list[str] = []
    held: list[list[str]] = []  # texts beside brackets of each node
    children: list[int] = []
    open_nodes: list[int] = []
    parts = _PART.findall(text)
    for place, part in enumerate(parts):
        if part == "(":
            if (not open_nodes and words) or len(open_nodes) >= DEEPEST:
                raise _refused(text)
            if open_nodes:
                children[open_nodes[-1]] += 1
            parents.append(open_nodes[-1] + 1 if open_nodes else 0)
            open_nodes.append(len(words))
            words.append(None)
            held.append([])
            children.append(0)
        elif not open_nodes:
            raise _refused(text)
        elif part == ")":
            node = open_nodes.pop()
            fits = len(held[node]) <= 1 if children[node] == 2 else not children[node] and 1 <= len(held[node]) <= 2
            if not fits:
                raise _refused(text, " ".join(parts[max(0, place - 6) : place + 1]))
        else:
            held[open_nodes[-1]].append(part)
    if open_nodes or not words:
        raise _refused(text)
    for node, texts in enumerate(held):
        if not children[node]:
            words[node] = texts.pop()
        labels.append(texts[0] if texts else "")
    return Bracketed(words, parents, labels)


def _refused(text: str, near: str = "") -> DataError:
    where = f", wrong at {shown(near)!r}" if near else ""
    return DataError(
        "a sentence is given as a tree of two parts at each inner node, such as (3 (2 a) (3 (3 good) (2 film))) or "
        f"((a) ((good) (film))), received {shown(text.strip(), 60)!r}{where}"
    )
