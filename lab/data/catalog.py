"""The catalog of data sets: what an entry says, and all entries. Each is in a YAML beside its loader."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from lab.config.files import read
from lab.errors import ConfigError, nearest
from lab.system.files import at_home

ROOMS = tuple(Path(__file__).parent / room for room in ("generated", "parallel", "sets"))


@dataclass(frozen=True)
class RemoteFile:
    """One file as its publisher serves it.

    Args:
        name: of the file.
        size: in bytes.
        sha256: its hash; "" where the publisher gives only `md5`.
        md5: the same by MD5; "" where there is a sha256.
    """

    name: str
    size: int
    sha256: str = ""
    md5: str = ""

    @property
    def known(self) -> str:
        """The hash that it is verified by: `sha256:...` or `md5:...`."""
        return f"sha256:{self.sha256}" if self.sha256 else f"md5:{self.md5}"


@dataclass(frozen=True)
class RemoteArchive:
    """A zip or tar archive as its publisher serves it. `lab.data.archive` reads it.

    Args:
        name: of the file, which ends with `.zip`, `.tar.gz` or the like.
        size: in bytes; about, where the publisher packs it anew.
        members: pattern of the files in it that are wanted, such as `recordings/*.wav`, without the archive's own
            outermost folder.
        content: sha256 over the wanted files, as `lab.data.archive.content_hash` has it; "" where only `md5` is known.
        md5: of the archive; "" where the publisher packs it anew, so that only its content can be verified.
        outer: folder in the archive that holds the wanted files, which is no part of their names; "" where it is the
            one folder that holds everything else, or where there is none.
    """

    name: str
    size: int
    members: str
    content: str = ""
    md5: str = ""
    outer: str = ""


@dataclass(frozen=True)
class Dataset:
    """One entry of the catalog.

    Args:
        name: in configs.
        title: one line: how many examples of what, and whose.
        licence: of the data.
        mirrors: addresses that serve the files, in the order in which they are tried.
        files: to download; none for a data set that is embedded in a package.
        archive: to download, where the files are in one; None otherwise.
        package: that embeds the data set.
        stand_in: name of the embedded data set that is used where this one cannot be downloaded.
        place: folder of its files in the data folder, which data sets of one publisher may share; "" for its own name.
    """

    name: str
    title: str
    licence: str
    mirrors: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = ()
    archive: RemoteArchive | None = None
    package: str = ""
    stand_in: str = ""
    place: str = ""

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(file.size for file in self.files) + (self.archive.size if self.archive else 0)

    @property
    def remote(self) -> bool:
        """Whether there is anything to download."""
        return bool(self.files or self.archive)

    @property
    def folder(self) -> Path:
        """Where its files are, or will be."""
        return data_dir() / (self.place or self.name)

    @property
    def sha256(self) -> str:
        """One hash over the hashes of all files, or of an archive's wanted ones; "" where only an md5 is known."""
        if self.archive:
            return self.archive.content
        if not all(file.sha256 for file in self.files):
            return ""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()

    def present(self) -> bool:
        """Whether all files are there. `lab.data.download.fetch` and `lab.data.archive` verify them."""
        archive, folder = self.archive, self.folder
        unpacked = archive is None or (archive.content and next(folder.glob(archive.members), None))
        packed = archive is not None and (folder / archive.name).is_file()
        return bool(unpacked or packed) and all((folder / file.name).is_file() for file in self.files)


def data_dir() -> Path:
    """$LAB_DATA_DIR, or the user's cache folder."""
    chosen = os.environ.get("LAB_DATA_DIR")
    return at_home(chosen) if chosen else user_cache_path("lab") / "data"


@cache
def entries() -> dict[str, Dataset]:
    """Return all data sets by name, without importing a loader."""
    paths = (path for room in ROOMS for path in sorted(room.glob("*.yaml")))
    found = {name: entry for path in paths for name, entry in read(path).items()}
    return {name: _entry(name, **entry) for name, entry in found.items()}


def _entry(name: str, *, files: Sequence[Mapping[str, Any]] = (), **rest: Any) -> Dataset:
    mirrors, archive = tuple(rest.pop("mirrors", ())), rest.pop("archive", None)
    remote = tuple(RemoteFile(**file) for file in files), RemoteArchive(**archive) if archive else None
    return Dataset(name, mirrors=mirrors, files=remote[0], archive=remote[1], **rest)


def lookup(name: str) -> Dataset:
    """Return the entry. Raises ConfigError with the nearest name where there is none."""
    if name not in entries():
        raise ConfigError(f"unknown data set {name!r}; known: {', '.join(entries())}{nearest(name, entries())}")
    return entries()[name]
