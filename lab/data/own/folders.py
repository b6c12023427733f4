"""Files in a folder for each class, and in `train/` and `test/` where they are there."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from lab.console.wording import count, some
from lab.errors import ConfigError, DataError, nearest

Side = Literal["train", "validation", "test"]
SIDES: dict[str, Side] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of folders that hold a split, in lower case."""


class File(NamedTuple):
    """One file of a class.

    Args:
        path: of the file.
        name: its path below the folder of the data, for messages and for the hash.
        label: number of its class.
        side: the split whose folder it is in; None where the folders say nothing.
    """

    path: Path
    name: str
    label: int
    side: Side | None


class Folder(NamedTuple):
    """What a folder holds.

    Args:
        files: by split, class and name.
        classes: their names, sorted as people sort: 2 before 10.
        notes: what its user should know, one sentence each.
    """

    files: Sequence[File]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def by_class(folder: Path, endings: Collection[str], what: str) -> Folder:
    """Return the files with one of the `endings` in a folder of folders, one for each class.

    Hidden files, files with other endings, and folders without such files are left out, with a note. Links to folders
    are followed beside each other, and not below a class.

    Args:
        folder: to look in.
        endings: of the files that are taken, in lower case: `.png`.
        what: such a file is: `image`.

    Raises ConfigError or DataError where there is no class with files.
    """
    gathered = _gather(folder, _splits(folder), endings)
    if not gathered.found and gathered.loose:
        example = _text(gathered.loose[0].name)
        raise ConfigError(
            f"data.path: {place_of(gathered.loose[0].parent, folder)} holds {count(len(gathered.loose), what)} itself; "
            f"each class needs a folder of its own: {folder.name}/CLASS/{example}"
        )
    if not gathered.found:
        raise DataError(f"{folder} has no {what}s: expected files with {', '.join(endings)} in a folder for each class")
    found = gathered.found
    classes = tuple(sorted({name for _, name, _ in found}, key=natural))
    _require_known(found, folder)
    number = {name: label for label, name in enumerate(classes)}
    files = [File(path, place_of(path, folder), number[label], side) for side, label, path in found]
    files.sort(key=lambda one: (one.side or "", one.label, natural(one.name)))
    return Folder(files, classes, tuple(gathered.notes(what)))


class _Gathered:
    """What was met in the folders.

    Args:
        found: split, class and path of each file with one of the endings.
        loose: files with one of the endings that are in no class.
        others: how many files of each other kind there are.
        empty: folders where none was found.
        links: to a folder that they are in.
    """

    def __init__(self) -> None:
        self.found: list[tuple[Side | None, str, Path]] = []
        self.loose: list[Path] = []
        self.others, self.empty, self.links = Counter[str](), list[str](), list[str]()

    def notes(self, what: str) -> Iterator[str]:
        """Yield what was left out, one sentence each."""
        if self.others:
            kinds = some([f"{n} {kind}" for kind, n in self.others.most_common()], most=6)
            yield f"{count(sum(self.others.values()), 'file')} left out, as no {what}s: {kinds}"
        if self.loose:
            names = some([_text(path.name) for path in self.loose])
            yield f"{count(len(self.loose), what)} left out, as in no folder of a class: {names}"
        if self.empty:
            yield f"{count(len(self.empty), 'folder')} left out, as without {what}s: {some(self.empty)}"
        if self.links:
            yield f"{count(len(self.links), 'link')} left out, as leading back to where it is: {some(self.links)}"


def _gather(folder: Path, splits: Sequence[tuple[Side | None, Path]], endings: Collection[str]) -> _Gathered:
    gathered, home = _Gathered(), folder.resolve()

    def fits(path: Path) -> bool:
        if not path.name.startswith(".") and path.is_file() and path.suffix.lower() in endings:
            return True
        gathered.others[_kind(path)] += 1
        return False

    for side, place in splits:
        loose = [path for path in _entries(place) if not path.is_dir() and fits(path)]
        gathered.loose += loose
        if side is not None and not loose and not _folders(place):
            gathered.empty.append(place_of(place, folder))
        for directory in _folders(place):
            if home.is_relative_to(directory.resolve()):
                gathered.links.append(place_of(directory, folder))
                continue
            paths = [path for path in _files(directory) if fits(path)]
            gathered.found += [(side, _text(directory.name), path) for path in paths]
            if not paths:
                gathered.empty.append(place_of(directory, folder))
    if splits[0][0] is not None:
        known = [place for _, place in splits]
        gathered.empty += [place_of(path, folder) for path in _folders(folder) if path not in known]
    return gathered


def place_of(path: Path, folder: Path) -> str:
    """Return the name of a file as it is told and hashed: below the folder, or the folder's own."""
    return _text(path.relative_to(folder).as_posix()) if path != folder else _text(folder.name)


def natural(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a key by which names are sorted as people do: numbers by their value. No two names have the same one."""
    parts = re.split(r"([0-9]+)", name)
    read = ((0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part.casefold()) for part in parts)
    return tuple(read), name


def content_hash(files: Sequence[File], contents: Sequence[str]) -> str:
    """Return one sha256 over the names of files and the sha256 of each."""
    lines = sorted(f"{content}  {file.name}\n" for file, content in zip(files, contents, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_bytes(path: Path) -> bytes:
    """Return what is in a file. Raises DataError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{_text(str(path))} cannot be read: {error.strerror}") from error


def _splits(folder: Path) -> list[tuple[Side | None, Path]]:
    """Return the folders of the splits, several of one where it has several names; the folder itself where there are
    none."""
    if not folder.is_dir():
        raise ConfigError(f"data.path: expected a folder with a folder for each class, but {folder} is a file")
    found = [(SIDES[path.name.lower()], path) for path in _folders(folder) if path.name.lower() in SIDES]
    # A class may be called `train` or `test`: the folder of a split holds folders.
    if not any(_folders(path) for side, path in found if side == "train"):
        return [(None, folder)]
    return list(found)


def _require_known(found: Sequence[tuple[Side | None, str, Path]], folder: Path) -> None:
    trained = {label for side, label, _ in found if side in (None, "train")}
    for side, label, _ in found:
        if label not in trained:
            raise DataError(
                f"{folder} has the class {label} in its {side} split, but not in its training split, which has "
                f"{some(sorted(trained, key=natural))}{nearest(label, trained)}"
            )


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir() and not path.name.startswith(".")]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{_text(str(folder))} cannot be read: {error.strerror}") from error


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder. Links to folders are not followed: they may lead round in a circle."""

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}")

    for inner, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield Path(inner, name)


def _kind(path: Path) -> str:
    if path.name.startswith("."):
        return path.name
    return path.suffix.lower() or "without ending" if path.is_file() else "broken link"


def _text(name: str) -> str:
    """Return a file's name in one spelling, whatever the file system; bytes that are no UTF-8 as escapes."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
