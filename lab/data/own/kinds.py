"""Which kind of data a path holds, by the names of its files. Nothing in them is read."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from lab.config.files import read
from lab.config.shipped import shipped
from lab.console.wording import some
from lab.data.files.csv import SHEETS
from lab.data.files.picture import ENDINGS
from lab.data.own.episodes import DESCRIPTION
from lab.errors import ConfigError

Kind = Literal["images", "idx", "sounds", "csv", "text", "texts", "tags", "episodes"]

KINDS: dict[Kind, str] = {
    "images": "images",
    "idx": "IDX files",
    "sounds": "wav files",
    "csv": "csv",
    "text": "text",
    "texts": "text files by class",
    "tags": "tagged sentences",
    "episodes": "recorded episodes",
}
"""What each kind is called."""

ONE: dict[Kind, str] = {
    "images": "an image",
    "idx": "an IDX file",
    "sounds": "a wav file",
    "csv": "a csv file",
    "text": "a text file",
    "texts": "a text file",
    "tags": "a file of tagged sentences",
    "episodes": "recorded episodes",
}
"""What a single file of each kind is called."""

LAYOUT: dict[Kind, str] = {
    "images": "images in a folder for each class",
    "idx": "four IDX files in a folder",
    "sounds": "wav files in a folder for each class",
    "csv": "a csv file",
    "text": "a text file, or a folder of .txt files",
    "texts": "text files in a folder for each class",
    "tags": "a .conll file with a word and its tag in each line",
    "episodes": "a folder that `lab collect` wrote",
}
"""How each kind is to be given."""

READ_BY: dict[Kind, dict[str, str]] = {
    "images": {"Images": ""},
    "idx": {"Images": ""},
    "sounds": {"Sounds": ""},
    "csv": {
        "Table": "as a table",
        "Series": "as a series",
        "Ratings": "as ratings",
        "Sentences": "as texts",
        "Translations": "as pairs of texts",
    },
    "text": {"Text": ""},
    "texts": {"Sentences": ""},
    "tags": {"Tagged": ""},
    "episodes": {"Recorded": ""},
}
"""The classes in `lab.data` that may read a kind of data, and as what, where it can be several things."""

BY_ENDING: dict[str, Kind] = {
    **dict.fromkeys(ENDINGS, "images"),
    ".wav": "sounds",
    **dict.fromkeys((*SHEETS, ".data"), "csv"),
    **dict.fromkeys((".txt", ".md"), "text"),
    **dict.fromkeys((".conll", ".bio", ".iob"), "tags"),
}
PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
IDX = re.compile(r"(?P<prefix>.*?)(?P<split>train|t10k|test)-(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?", re.ASCII)
"""Names of IDX files: those of MNIST, with any prefix. EMNIST has `test` for `t10k`."""
LOOKED_AT = 100_000  # files of a folder


def kinds_of(place: Path) -> list[Kind]:
    """Return which kinds of data a file or folder holds, that of most files first; none where no name says it."""
    if place.is_file():
        kind = "idx" if IDX.fullmatch(place.name) else BY_ENDING.get(place.suffix.lower())
        return [kind] if kind else []
    if (place / DESCRIPTION).is_file():
        return ["episodes"]
    kinds = Counter[Kind]()
    files = (path for path in _below(place) if not path.name.startswith("."))
    for path in islice(files, LOOKED_AT):
        if path.parent == place and IDX.fullmatch(path.name):
            return ["idx"]
        if (kind := BY_ENDING.get(path.suffix.lower())) is not None:
            kinds["texts" if path.suffix.lower() == ".txt" and path.parent != place else kind] += 1
    return [kind for kind, _ in kinds.most_common()]


def _below(place: Path) -> Iterator[Path]:
    """Yield the files below a folder. Classes may be links to folders, and lie in the folder or in those of splits."""
    home = place.resolve()
    for inner, folders, names in os.walk(place):
        yield from (Path(inner, name) for name in names)
        if place not in (Path(inner), Path(inner).parent):
            continue
        for link in (Path(inner, name) for name in folders if Path(inner, name).is_symlink()):
            if not home.is_relative_to(link.resolve()):
                yield from (Path(outer, name) for outer, _, others in os.walk(link) for name in others)


def require_kind(place: Path, *wanted: Kind) -> Kind | None:
    """Return which of the `wanted` kinds a path holds; None for a file whose name does not say what it is, where a file
    is wanted.

    Raises ConfigError where it holds another kind, or none, or is a file in place of a folder, or the other way round.
    """
    found, is_file = kinds_of(place), place.is_file()
    fitting = [kind for kind in found if kind in wanted]
    packed = is_file and not found and place.suffix.lower() in PACKED
    if is_file and not packed and {"csv", "text", "tags"} & {*wanted} and (fitting or not found):
        return fitting[0] if fitting else None
    folders = [kind for kind in fitting if kind != "csv"]
    if not is_file and folders:
        return folders[0]
    if not found:
        told = unknown(place)
    else:
        told = f"is {ONE[found[0]]}" if is_file else f"is a folder of {_files((fitting or found)[0])}"
    hint = "; unpack it first" if packed else _takers(found[0]) if found and not fitting else ""
    raise ConfigError(f"data.path: expected {' or '.join(LAYOUT[one] for one in wanted)}, but {place} {told}{hint}")


def _takers(kind: Kind) -> str:
    """Return which experiments take such data, as the end of a sentence."""
    names = [name for name, path in shipped().items() if _class(read(path).get("data")) in READ_BY[kind]]
    return f"; {_files(kind)} are for {some(names, most=6)}" if names else ""


def _files(kind: Kind) -> str:
    return KINDS[kind] if KINDS[kind].endswith("s") else f"{KINDS[kind]} files"


def _class(data: Any) -> str:
    return str(data.get("class_path", "")).rpartition(".")[2] if isinstance(data, dict) else ""


def unknown(place: Path) -> str:
    """Return what can be said of a path that holds no kind of data, as the end of a sentence."""
    if place.is_file():
        return f"ends in {place.suffix}" if place.suffix else "has no ending that says what it is"
    try:
        there = [one for one in place.iterdir() if not one.name.startswith(".")]
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    names = (name for _, _, names in os.walk(place) for name in names if not name.startswith("."))
    endings = Counter(Path(name).suffix.lower() or "without ending" for name in islice(names, LOOKED_AT))
    if not endings:
        return "holds no files" if there else "is empty"
    told = some([f"{number:,} {ending}" for ending, number in endings.most_common()])
    return f"has files that the lab does not read: {told}"
