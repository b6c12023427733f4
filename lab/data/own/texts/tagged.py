"""Sentences of the user's own with a tag at each word, in the columns of CoNLL (Tjong Kim Sang & De Meulder 2003)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.console.wording import count
from lab.data.files.text import decoded
from lab.data.own.folders import read_bytes
from lab.data.own.kinds import require_kind
from lab.data.own.splits import tenths
from lab.errors import DataError
from lab.system.memory import require_memory

OUTSIDE = "O"
BEGINS, INSIDE = ("B", "S", "U"), ("I", "E", "L", "M")
"""How tags begin where a span does, and where it goes on: in the scheme BIO, and in BIOES, BILOU and BMES."""
DOCUMENT = "-DOCSTART-"  # a line that begins a document
BYTES = 20  # of memory for each byte of a file


class Sentence(NamedTuple):
    """The words of a sentence, and a tag for each: O, B-NAME or I-NAME."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


class TaggedSentences(NamedTuple):
    """Sentences of training, validation and test, a hash of all, and what the user should know, one sentence each."""

    splits: tuple[Sequence[Sentence], Sequence[Sentence], Sequence[Sentence]]
    sha256: str
    notes: Sequence[str] = ()


def read_tagged(place: Path) -> TaggedSentences:
    """Return the sentences of a file with a word and its tag in each line, in the first and the last column, and an
    empty line after each sentence.

    A tenth of the different sentences is tested and another tenth validated, chosen by their hashes. Tags of other
    schemes become those of BIO; a span that begins with I- begins with B- then.

    Raises ConfigError where the path holds other data, DataError where a line lacks a tag or has none of a scheme, or
    where there are too few different sentences.
    """
    require_kind(place, "tags")
    require_memory(BYTES * place.stat().st_size, f"the sentences of {place.name} need")
    content = read_bytes(place)
    every = list(_sentences(decoded(content, place.name), place.name))
    split_of = tenths([" ".join(one.words) for one in every], place.name, "sentence")
    splits: tuple[list[Sentence], list[Sentence], list[Sentence]] = ([], [], [])
    for one in every:
        splits[split_of[" ".join(one.words)]].append(one)
    numbers = f"{count(len(splits[2]), 'sentence')} of {len(every):,} are tested and {len(splits[1]):,} validated"
    note = f"{numbers}: a tenth of the different ones each, chosen by a hash of them"
    return TaggedSentences(splits, hashlib.sha256(content).hexdigest(), [note])


def _sentences(text: str, name: str) -> Iterator[Sentence]:
    """Yield the sentences of a text. Comments, `# key = value`, and lines that begin a document are left out."""
    words, tags = list[str](), list[str]()
    for number, line in enumerate([*text.split("\n"), ""], 1):
        cells = line.split()
        if not cells:
            if words:
                yield Sentence(tuple(words), tuple(tags))
            words, tags = [], []
        elif cells[0] != DOCUMENT and not (line.startswith("# ") and " = " in line):
            words.append(cells[0])
            tags.append(_tag(cells, tags[-1] if tags else OUTSIDE, f"{name}, line {number}"))


def _tag(cells: Sequence[str], before: str, where: str) -> str:
    """Return the tag in the last column of a line, in BIO, given the tag of the word before."""
    if len(cells) < 2:
        raise DataError(f"{where}: expected a word and its tag, received {cells[0]!r} alone")
    kind, dash, label = cells[-1].partition("-")
    if cells[-1] == OUTSIDE:
        return OUTSIDE
    if not (dash and label and kind in (*BEGINS, *INSIDE)):
        raise DataError(f"{where}: expected O, B-NAME or I-NAME in the last column, received {cells[-1]!r}")
    goes_on = kind in INSIDE and before.partition("-")[2] == label
    return f"{'I' if goes_on else 'B'}-{label}"
