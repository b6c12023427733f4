"""Published images are read from files of the same form, since the tests bring no data of others."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lab.data.catalog import RemoteFile, entries, lookup
from lab.data.download import DamagedDataError
from lab.data.sets.images import LOADERS

IDX = {"train-images-idx3-ubyte": 3, "train-labels-idx1-ubyte": 3, "t10k-images-idx3-ubyte": 2}
IDX["t10k-labels-idx1-ubyte"] = 2


def idx(values: Tensor) -> bytes:
    head = b"\0\0\x08" + bytes([values.ndim]) + b"".join(struct.pack(">I", side) for side in values.shape)
    return gzip.compress(head + values.to(torch.uint8).numpy().tobytes())


def place_idx(monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """Write four small files into the folder of a data set, and enter their hashes in the catalog as MD5."""
    entry, files = lookup(name), []
    entry.folder.mkdir(parents=True)
    for stem, count in IDX.items():
        values = torch.arange(count * 4).view(count, 2, 2) if "images" in stem else torch.arange(count) + 7
        content = idx(values)
        files.append(RemoteFile(f"{stem}.gz", len(content), md5=hashlib.md5(content).hexdigest()))  # noqa: S324
        (entry.folder / files[-1].name).write_bytes(content)
    monkeypatch.setitem(entries(), name, replace(entry, files=tuple(files)))
    return entry.folder


@pytest.mark.parametrize(("name", "last"), [("fashion-mnist", "ankle boot"), ("kmnist", "wo")])
def test_kin_of_mnist(monkeypatch: pytest.MonkeyPatch, name: str, last: str) -> None:
    folder = place_idx(monkeypatch, name)
    found = LOADERS[name]()
    assert found.train.images.tolist() == [[[[4 * i, 4 * i + 1], [4 * i + 2, 4 * i + 3]]] for i in range(3)]
    assert found.train.labels.tolist() == [7, 8, 9]
    assert found.test.labels.tolist() == [7, 8]
    assert len(found.classes) == 10
    assert found.classes[9] == last
    assert found.sha256 == LOADERS[name]().sha256
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"other")
    with pytest.raises(DamagedDataError, match=r"expected md5 [0-9a-f]{16}\.\.\., received .*; delete it"):
        LOADERS[name]()


def place_cifar(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pack two training files of two pictures and one test file of one, as CIFAR-10 has them."""
    entry = lookup("cifar10")
    assert entry.archive is not None
    entry.folder.mkdir(parents=True)
    path = entry.folder / entry.archive.name
    with tarfile.open(path, "w:gz") as archive:
        for name, labels in (("data_batch_2", [3, 4]), ("data_batch_1", [1, 2]), ("test_batch", [9])):
            content = b"".join(bytes([one]) + b"".join(bytes([one + c]) * 1024 for c in range(3)) for one in labels)
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        archive.addfile(tarfile.TarInfo("cifar-10-batches-bin/readme.html"))
    known = hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324
    monkeypatch.setitem(entries(), "cifar10", replace(entry, archive=replace(entry.archive, md5=known)))
    return path


def test_cifar_is_read_without_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    path = place_cifar(monkeypatch)
    found = LOADERS["cifar10"]()
    assert found.train.labels.tolist() == [1, 2, 3, 4]
    assert found.test.labels.tolist() == [9]
    assert found.train.images.shape == (4, 3, 32, 32)
    assert found.train.images.float().mean((2, 3)).tolist() == [[i, i + 1, i + 2] for i in range(1, 5)]
    assert found.classes[1] == "car"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DamagedDataError, match="expected md5"):
        LOADERS["cifar10"]()


def test_colours_keep_the_digit() -> None:
    """Some channel of every image tells its ink from its ground, and the digits are those of scikit-learn."""
    coloured, grey = LOADERS["colour-digits"](), LOADERS["digits"]()
    assert coloured.test.images.shape == (500, 3, 32, 32)
    assert torch.equal(coloured.train.labels, grey.train.labels)
    images = coloured.train.images.float()
    assert (images.amax((2, 3)) - images.amin((2, 3))).amax(1).min() > 100
    assert coloured.sha256 == LOADERS["colour-digits"]().sha256
    assert coloured.train.images.float().mean((2, 3)).std(0).min() > 20, "all images have one colour"


def test_published_hashes_are_whole() -> None:
    for entry in entries().values():
        for file in entry.files:
            kind, _, known = file.known.partition(":")
            assert len(known) == {"sha256": 64, "md5": 32}[kind], f"{entry.name}: {file.name}"
