"""Reads the files of a data set out of the zip or tar archive that its publisher serves, or out of the folder in which
somebody unpacked it.

Nothing is unpacked to the disk, so that no archive can write outside of the data folder.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from lab.data.catalog import Dataset, RemoteArchive
from lab.data.download import DamagedDataError, UnavailableError, download
from lab.errors import DataError

MOST_BYTES = 2**30
"""Of all wanted files together. A small archive can hold more than fits into memory."""

Info = TypeVar("Info")


def members(dataset: Dataset, announce: Callable[[str], None] = lambda line: None) -> dict[str, bytes]:
    """Return the wanted files of the data set's archive by name, sorted, after downloading it where it is missing.

    Files that lie unpacked in the data set's folder are taken where their content can be verified.
    Raises DamagedDataError where the bytes are not those that were published, UnavailableError where the archive cannot
    be downloaded.
    """
    archive, folder = dataset.archive, dataset.folder
    assert archive is not None
    if archive.content and (unpacked := sorted(folder.glob(archive.members))):
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in unpacked}
        _verify(archive, found, unpacked[0].parent, dataset)
        return found
    path = folder / archive.name
    if not (here := path.is_file()):
        download(dataset, archive.name, archive.size, f"md5:{archive.md5}" if archive.md5 else None, announce)
    elif archive.md5:
        _verify_archive(archive, path, dataset)
    try:
        found = read_archive(path, archive.members, archive.outer)
        _verify(archive, found, path, dataset)
    except DataError as error:
        if here:
            raise
        path.unlink()
        raise UnavailableError(
            f"{dataset.name} could not be downloaded (the archive received is not the one that was published)"
        ) from error
    return found


def read_archive(path: Path, pattern: str = "*", outer: str = "") -> dict[str, bytes]:
    """Return the files in a zip or tar archive whose names match `pattern`, sorted by name. The folder `outer` is no
    part of the names, and without it the one folder that holds everything else, where there is one.

    Links and devices are left out. Raises DataError where it is no archive, is damaged, or is too large.
    """
    try:
        found = dict(_zipped(path, pattern, outer) if zipfile.is_zipfile(path) else _tarred(path, pattern, outer))
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{path} cannot be read as a zip or tar archive: {error}") from error
    if not found:
        raise DataError(f"{path} has no file {pattern}")
    return dict(sorted(found.items()))


def content_hash(files: Mapping[str, bytes]) -> str:
    """Return one sha256 over the names and bytes of files, in the order of their names."""
    lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _zipped(path: Path, pattern: str, outer: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        named = {info.filename: info for info in infos}
        for name, info in _wanted(named, pattern, outer, lambda info: info.file_size):
            yield name, archive.read(info)


def _tarred(path: Path, pattern: str, outer: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        infos = {info.name: info for info in archive if info.isfile()}
        for name, info in _wanted(infos, pattern, outer, lambda info: info.size):
            file = archive.extractfile(info)
            assert file is not None
            yield name, file.read()


def _wanted(infos: Mapping[str, Info], pattern: str, outer: str, size: Callable[[Info], int]) -> list[tuple[str, Info]]:
    tops = {name.partition("/")[0] for name in infos}
    outer = outer or (tops.pop() if len(tops) == 1 else "")
    inner = {name.removeprefix(f"{outer}/") if outer else name: info for name, info in infos.items()}
    wanted = [(name, info) for name, info in inner.items() if fnmatchcase(name, pattern)]
    if (total := sum(size(info) for _, info in wanted)) > MOST_BYTES:
        raise DataError(f"the archive holds {total:,} bytes of files; at most {MOST_BYTES:,} are read")
    return wanted


def _verify(archive: RemoteArchive, found: Mapping[str, bytes], where: Path, dataset: Dataset) -> None:
    if archive.content and (received := content_hash(found)) != archive.content:
        raise DamagedDataError(
            f"the {len(found):,} files in {where} are not those that were published: expected sha256 "
            f"{archive.content[:16]}..., received {received[:16]}...; delete them and run "
            f"`lab data fetch {dataset.name}`"
        )


def _verify_archive(archive: RemoteArchive, path: Path, dataset: Dataset) -> None:
    with path.open("rb") as file:
        received = hashlib.file_digest(file, "md5").hexdigest()
    if received != archive.md5:
        raise DamagedDataError(
            f"{path} is damaged: expected md5 {archive.md5}, received {received}; delete it and run "
            f"`lab data fetch {dataset.name}`"
        )
