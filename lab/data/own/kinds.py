"""Which kind of data a path holds, by the names of its files. Nothing in them is read."""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Literal

from lab.console.wording import some
from lab.data.files.picture import ENDINGS
from lab.errors import ConfigError

Kind = Literal["images", "idx", "sounds", "csv", "text"]

KINDS: dict[Kind, str] = {
    "images": "images",
    "idx": "IDX files",
    "sounds": "wav files",
    "csv": "csv",
    "text": "text",
}
"""What each kind is called in a sentence."""

LAYOUT: dict[Kind, str] = {
    "images": "images in a folder for each class",
    "sounds": "wav files in a folder for each class",
    "csv": "a csv file",
    "text": "a text file",
}
"""How a kind is to be given, where that needs words."""

BY_ENDING: dict[str, Kind] = {
    **dict.fromkeys(ENDINGS, "images"),
    ".wav": "sounds",
    **dict.fromkeys((".csv", ".tsv", ".data"), "csv"),
    **dict.fromkeys((".txt", ".md"), "text"),
}
PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
IDX = re.compile(r"(?P<prefix>.*?)(?P<split>train|t10k|test)-(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?", re.ASCII)
"""Names of IDX files: those of MNIST, with any prefix. EMNIST has `test` for `t10k`."""
LOOKED_AT = 100_000  # files of a folder


def kind_of(place: Path) -> Kind | None:
    """Return which kind of data a file or folder holds; None where no name says it. Of several in a folder, it is the
    kind of which there are most files."""
    if place.is_file():
        return BY_ENDING.get(place.suffix.lower())
    kinds = Counter[Kind]()
    files = (Path(inner, name) for inner, _, names in os.walk(place) for name in names if not name.startswith("."))
    for path in islice(files, LOOKED_AT):
        if path.parent == place and IDX.fullmatch(path.name):
            return "idx"
        if (kind := BY_ENDING.get(path.suffix.lower())) is not None:
            kinds[kind] += 1
    return kinds.most_common(1)[0][0] if kinds else None


def require_kind(place: Path, *wanted: Kind) -> Kind:
    """Return which of the `wanted` kinds a path holds. Raises ConfigError where it holds another, or none."""
    kind = kind_of(place)
    expected = " or ".join(LAYOUT.get(one, KINDS[one]) for one in wanted)
    hint = "; unpack it first" if place.suffix.lower() in PACKED and place.is_file() else ""
    if place.is_file() and not {"csv", "text"} & set(wanted):
        raise ConfigError(f"data.path: expected a folder that holds {expected}, but {place} is a file{hint}")
    if kind not in wanted:
        found = unknown(place) if kind is None else f"holds {KINDS[kind]}"
        raise ConfigError(f"data.path: {place} {found}; this experiment takes {expected}{hint}")
    return kind


def unknown(place: Path) -> str:
    """Return what can be said of a path that holds no kind of data, as the end of a sentence."""
    if place.is_file():
        return f"ends in {place.suffix}" if place.suffix else "has no ending that says what it is"
    try:
        found = sorted(path.name for path in place.iterdir() if not path.name.startswith("."))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return f"has no data that the lab reads, but {some(found)}" if found else "is empty"
