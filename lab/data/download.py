"""Downloads the files of data sets, and verifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from lab.data.catalog import Dataset
from lab.errors import DataError


class UnavailableError(DataError):
    """The data set is not here and cannot be downloaded now. Only in this case may another data set stand in."""


class DamagedDataError(DataError):
    """A file differs from the published one. No other data set stands in for it."""


def fetch(dataset: Dataset, announce: Callable[[str], None] = lambda line: None) -> dict[str, Path]:
    """Return the data set's files by name, after downloading those that are missing and verifying all.

    Raises DamagedDataError when a file has the wrong bytes, UnavailableError when no mirror could be reached.
    """
    paths = {}
    for file in dataset.files:
        path = dataset.folder / file.name
        if not path.is_file():
            download(dataset, file.name, file.size, file.known, announce)
        kind, _, expected = file.known.partition(":")
        with path.open("rb") as content:
            found = hashlib.file_digest(content, kind).hexdigest()
        if found != expected:
            raise DamagedDataError(
                f"{path} is damaged: expected {kind} {expected[:16]}..., received {found[:16]}...; "
                f"delete it and run `lab data fetch {dataset.name}`"
            )
        paths[file.name] = path
    return paths


def download(
    dataset: Dataset, name: str, size: int, known: str | None, announce: Callable[[str], None] = lambda line: None
) -> None:
    """Download the file `name` of about `size` bytes to the data set's folder, from the first mirror that has it.

    Args:
        known: its hash as `sha256:...` or `md5:...`; None where it cannot be known.

    Raises UnavailableError where no mirror could be reached or all had other bytes.
    """
    announce(f"downloading {dataset.name}: {name} ({size / 1e6:.1f} MB) to {dataset.folder}")
    import pooch  # 0.3 s, and only here
    import requests

    pooch.get_logger().setLevel("WARNING")  # `announce` has said what is downloaded
    problems = []
    for mirror in dataset.mirrors:
        try:
            # pooch writes to a temporary file, checks the hash, and only then renames it into place.
            pooch.retrieve(
                mirror + name,
                known_hash=known,
                fname=name,
                path=dataset.folder,
                downloader=pooch.HTTPDownloader(progressbar=_Bar(name, size), timeout=15),
            )
        except (requests.RequestException, ValueError) as error:  # a wrong hash is a ValueError
            problems.append(f"{mirror.split('/')[2]}: {_reason(error)}")
        except OSError as error:  # the disk, not the network: another data set would not help
            raise DataError(f"cannot write {dataset.name} to {dataset.folder}: {error}") from error
        else:
            return
    raise UnavailableError(f"{dataset.name} could not be downloaded ({'; '.join(problems)})")


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return "the bytes received have the wrong hash"
    return "no connection" if "onnection" in type(error).__name__ else f"{type(error).__name__}: {error}"[:120]


class _Bar:
    """pooch's progress interface (total, update, reset, close) over a rich bar."""

    def __init__(self, name: str, size: int) -> None:
        from rich.progress import Progress

        self.total = size
        self.progress = Progress(transient=True)
        self.task = self.progress.add_task(name, total=size)
        self.progress.start()

    def update(self, count: int) -> None:
        self.progress.update(self.task, advance=count)

    def reset(self) -> None:
        self.progress.reset(self.task, total=self.total)

    def close(self) -> None:
        self.progress.stop()
