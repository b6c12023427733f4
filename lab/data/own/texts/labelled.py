"""Texts of the user's own with a class each: the rows of a csv, or text files in a folder for each class."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from lab.console.wording import count, some
from lab.data.files.text import decoded
from lab.data.own.examples import Texts
from lab.data.own.folders import by_class, content_hash, read_bytes
from lab.data.own.kinds import require_kind
from lab.data.own.labels import classes_of
from lab.data.own.sheets import read_sheet
from lab.data.own.splits import divided
from lab.errors import DataError
from lab.system.memory import require_memory

ENDINGS = (".txt",)
BYTES = 20  # of memory for each byte of a file: its text, and lists of words and of token ids


def read_texts(place: Path, column: str = "text", target: str = "label") -> Texts:
    """Return the texts of a csv, or of the `.txt` files in a folder with a folder for each class.

    Args:
        place: the csv or the folder.
        column: of a csv with the texts.
        target: column of a csv with the classes.

    Raises ConfigError where the path holds other data or a column is missing, DataError where a text is empty, a file
    is not UTF-8, or a class has too few texts.
    """
    return _folder(place) if require_kind(place, "csv", "texts") == "texts" else _sheet(place, column, target)


def _sheet(place: Path, column: str, target: str) -> Texts:
    sheet = read_sheet(place)
    texts = sheet.cells(sheet.place("data.text", column))
    labels, classes = classes_of(sheet, target)
    if empty := [line for text, line in zip(texts, sheet.lines, strict=True) if not text]:
        where = f"line{'s' * (len(empty) > 1)} {some([*map(str, empty)], most=5)}"
        raise DataError(f"{sheet.file}: the text is missing in {where}; expected one in every row")
    contents = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return Texts(texts, labels, classes, sheet.sha256, contents, notes=sheet.notes)


def _folder(place: Path) -> Texts:
    folder = by_class(place, ENDINGS, "text")
    bulk = sum(file.path.stat().st_size for file in folder.files)
    require_memory(BYTES * bulk, f"{count(len(folder.files), 'text')} need")
    read = [read_bytes(file.path) for file in folder.files]
    texts = [decoded(content, file.name) for content, file in zip(read, folder.files, strict=True)]
    contents = [hashlib.sha256(content).hexdigest() for content in read]
    given = any(file.side for file in folder.files)
    sides, notes = divided(folder, contents, "text") if given else ([], [])
    labels = torch.tensor([file.label for file in folder.files])
    sha256 = content_hash(folder.files, contents)
    return Texts(texts, labels, folder.classes, sha256, contents, sides, [*folder.notes, *notes])
