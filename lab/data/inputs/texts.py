"""Texts that a user gives a trained model: the cells of a csv, and which of their words the model does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.console.wording import plural, shown, some
from lab.data.files.csv import parse_sheet
from lab.data.tokenizers.words import Words
from lab.errors import DataError


def text_cells(content: bytes, file: str, column: str) -> tuple[list[str], list[dict[str, int]]]:
    """Return the texts in a column of a csv, and the row of each. Raises ConfigError where there is no column of this
    name, DataError where a text is missing, as in training."""
    sheet = parse_sheet(content, file)
    sheet.require([column])
    cells, labels = sheet.cells(sheet.names.index(column)), sheet.labels()
    if sheet.empty and len(sheet.names) == 1:
        raise DataError(f"{file}: line {sheet.empty[0]} is empty; expected a text in every row")
    if empty := [label for cell, label in zip(cells, labels, strict=True) if not cell]:
        raise DataError(f"{file}: column {column} has no text in {_places(empty)}; expected one in every row")
    return cells, labels


def unknown_words(
    texts: Sequence[Sequence[str]], labels: Sequence[Mapping[str, Any]], known: Words, name: str
) -> list[str]:
    """Return what a model cannot know of texts, one sentence each. Words of underscores alone stand for others, and are
    left out.

    Args:
        texts: the words of each, as far as the model reads them.
        labels: of each text, such as its row; empty for a text alone.
        known: the words of the model.
        name: of the input, for messages.
    """
    words = [[word for word in text if word.strip("_")] for text in texts]
    unknown = [[word for word in text if known.id_of(word) == Words.UNKNOWN] for text in words]
    if not any(unknown):
        return []
    different = dict.fromkeys(repr(shown(word)) for text in unknown for word in text)
    several, total = sum(map(len, unknown)), sum(map(len, words))
    notes = [f"{name}: {several:,} of {total:,} {plural('word', total)} unknown to the model ({some([*different])})"]
    triples = zip(words, unknown, labels, strict=True)
    if lost := [label for text, strange, label in triples if text and len(strange) == len(text)]:
        where = f" of {_places(lost)}" if any(lost) else ""
        notes.append(f"{name}: the model knows no word{where}: what it predicts there says nothing of the text")
    return notes


def _places(labels: Sequence[Mapping[str, Any]]) -> str:
    """Return where texts are, such as `rows 2, 5`."""
    what = next(iter(labels[0]))
    return f"{plural(what, len(labels))} {some([str(label[what]) for label in labels], most=5)}"
