"""The data sets the lab knows: where they come from, how large they are, and what their bytes must hash to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

from lab.errors import ConfigError, DataError, nearest
from lab.system.files import sha256


@dataclass(frozen=True)
class RemoteFile:
    """One file as its publisher serves it: name, size in bytes, and sha256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """One entry of the catalog. No files: embedded in a package that the lab needs anyway."""

    name: str
    title: str
    licence: str
    mirrors: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> Path:
        """Where its files lie, or would lie."""
        return data_dir() / self.name

    @property
    def sha256(self) -> str:
        """One hash over the hashes of all files."""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()

    def present(self) -> bool:
        """Whether all files are there; `fetch` verifies them."""
        return all((self.folder / file.name).is_file() for file in self.files)


CATALOG = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="mnist",
            title="70,000 handwritten digits, 28x28 (LeCun et al. 1998)",
            licence="CC BY-SA 3.0",
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            files=(
                RemoteFile(
                    "train-images-idx3-ubyte.gz",
                    9912422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                RemoteFile(
                    "train-labels-idx1-ubyte.gz",
                    28881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                RemoteFile(
                    "t10k-images-idx3-ubyte.gz",
                    1648877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                RemoteFile(
                    "t10k-labels-idx1-ubyte.gz",
                    4542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            ),
        ),
        Dataset(
            name="digits",
            title="1,797 handwritten digits, 8x8, inside scikit-learn (Alpaydin & Kaynak 1998)",
            licence="CC BY 4.0",
        ),
    )
}


def data_dir() -> Path:
    """$LAB_DATA_DIR, or the user's cache folder."""
    chosen = os.environ.get("LAB_DATA_DIR")
    return Path(chosen).expanduser() if chosen else user_cache_path("lab") / "data"


def lookup(name: str) -> Dataset:
    """Return the entry, or raise ConfigError with the nearest name."""
    if name not in CATALOG:
        raise ConfigError(f"unknown data set {name!r}; known: {', '.join(CATALOG)}{nearest(name, CATALOG)}")
    return CATALOG[name]


def fetch(name: str, announce: Callable[[str], None] = lambda line: None) -> dict[str, Path]:
    """Return the data set's files by name, downloading what is missing and verifying all of them.

    Raises DamagedDataError when a file has the wrong bytes, UnavailableError when no mirror could be reached.
    """
    dataset = lookup(name)
    paths = {}
    for file in dataset.files:
        path = dataset.folder / file.name
        if not path.is_file():
            announce(f"downloading {dataset.name}: {file.name} ({file.size / 1e6:.1f} MB) to {dataset.folder}")
            _download(dataset, file)
        if (found := sha256(path)) != file.sha256:
            raise DamagedDataError(
                f"{path} is damaged: expected sha256 {file.sha256[:16]}..., received {found[:16]}...; "
                f"delete it and run `lab data fetch {name}`"
            )
        paths[file.name] = path
    return paths


class UnavailableError(DataError):
    """The data set is not here and cannot be downloaded now: the one case in which a fallback may stand in."""


class DamagedDataError(DataError):
    """The bytes are not the published ones. Never a reason for a fallback: something is wrong and must be seen."""


def _download(dataset: Dataset, file: RemoteFile) -> None:
    import pooch  # 0.3 s, and only here
    import requests

    pooch.get_logger().setLevel("WARNING")  # we have said what is downloaded, and where to
    problems = []
    for mirror in dataset.mirrors:
        try:
            # pooch writes to a temporary file, checks the hash, and only then renames it into place.
            pooch.retrieve(
                mirror + file.name,
                known_hash=f"sha256:{file.sha256}",
                fname=file.name,
                path=dataset.folder,
                downloader=pooch.HTTPDownloader(progressbar=_Bar(file), timeout=15),
            )
        except (requests.RequestException, ValueError) as error:  # a wrong hash is a ValueError
            problems.append(f"{mirror.split('/')[2]}: {_reason(error)}")
        except OSError as error:  # the disk, not the network: no fallback helps
            raise DataError(f"cannot write {dataset.name} to {dataset.folder}: {error}") from error
        else:
            return
    raise UnavailableError(f"{dataset.name} could not be downloaded ({'; '.join(problems)})")


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return "the bytes received have the wrong sha256"
    return "no connection" if "onnection" in type(error).__name__ else f"{type(error).__name__}: {error}"[:120]


class _Bar:
    """pooch's progress interface (total, update, reset, close) over a rich bar."""

    def __init__(self, file: RemoteFile) -> None:
        from rich.progress import Progress

        self.total = file.size
        self.progress = Progress(transient=True)
        self.task = self.progress.add_task(file.name, total=file.size)
        self.progress.start()

    def update(self, count: int) -> None:
        self.progress.update(self.task, advance=count)

    def reset(self) -> None:
        self.progress.reset(self.task, total=self.total)

    def close(self) -> None:
        self.progress.stop()
