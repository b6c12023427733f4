from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from lab.data.augment import Augment
from lab.data.batches import TensorBatches
from lab.data.catalog import entries, lookup
from lab.data.own.idx import read_idx
from lab.data.sets import images as images_module
from lab.data.sets.images import Images, unit_floats
from lab.data.spec import Classes, InputSpec
from lab.errors import ConfigError, DataError

CPU = torch.device("cpu")


def batches(count: int = 10, size: int = 3, seed: int | None = 0) -> TensorBatches:
    images = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1)
    return TensorBatches(images, torch.arange(count), batch_size=size, seed=seed, transform=unit_floats)


def order(loader: TensorBatches, limit: int | None = None) -> list[int]:
    return [int(label) for _, labels in islice(loader, limit) for label in labels]


def test_order_follows_seed_and_epoch() -> None:
    first, again, other = batches(), batches(), batches(seed=1)
    epochs = [order(first) for _ in range(3)]
    assert epochs == [order(again) for _ in range(3)]
    assert epochs[0] != epochs[1]
    assert epochs[0] != order(other)
    assert sorted(order(batches(size=5))) == list(range(10))


def test_epoch_without_its_end() -> None:
    """Lightning counts to len() and never asks for the end."""
    counted, exhausted = batches(), batches()
    epochs = [order(counted, limit=3) for _ in range(3)]
    assert epochs == [order(exhausted) for _ in range(3)]
    assert all(len(epoch) == 9 for epoch in epochs)


@pytest.mark.parametrize("consumed", [0, 1, 2, 3, 4, 7])
def test_resumes_at_the_next_batch(consumed: int) -> None:
    whole = batches()
    everything = [int(label) for _ in range(7) for _, labels in whole for label in labels]
    first = batches()
    epoch: Iterator[object] = iter(first)
    for i in range(consumed):
        if i and i % 3 == 0:
            epoch = iter(first)
        next(epoch)
    resumed = batches()
    resumed.load_state_dict(first.state_dict())
    rest = [int(label) for _ in range(3) for _, labels in resumed for label in labels]
    assert rest == everything[3 * consumed :][: len(rest)]
    assert len(rest) >= 18


def test_images_are_unit_floats() -> None:
    for x, labels in batches(count=10, size=4, seed=None):
        assert x.dtype == torch.float32
        assert torch.allclose(x.flatten() * 255, labels.float())


def test_smaller_batch_is_for_evaluation() -> None:
    assert [len(x) for x, _ in batches(seed=None)] == [3, 3, 3, 1]
    assert [len(x) for x, _ in batches(seed=0)] == [3, 3, 3]
    with pytest.raises(ConfigError, match=r"batch_size is 11, but there are only 10"):
        batches(size=11)


def test_digits_are_embedded() -> None:
    data = Images(name="digits", batch_size=64)
    data.prepare()
    assert data.info.fallback is None
    assert data.spec.input == InputSpec((1, 28, 28))
    assert data.spec.target == Classes(10, tuple("0123456789"))
    x, labels = next(iter(data.test(CPU)))
    assert x.shape[1:] == (1, 28, 28)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert set(labels.tolist()) == set(range(10))
    sizes = [
        len(data.train(CPU, 0)) * 64,
        *(sum(len(y) for _, y in s) for s in (data.validation(CPU), data.test(CPU)) if s),
    ]
    assert sizes == [18 * 64, 129, 500]


def test_mnist(mnist: Path) -> None:
    data = Images()
    data.prepare()
    assert (data.info.name, data.info.fallback) == ("mnist", None)
    labels = torch.cat([labels for _, labels in data.test(CPU)])
    # The published counts of the test digits.
    assert labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    validation = data.validation(CPU)
    assert validation is not None
    assert sum(len(y) for _, y in validation) == 5000


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.name must be one of mnist, digits, .*did you mean 'mnist'"):
        Images(name="minst")
    with pytest.raises(
        ConfigError, match=r"data\.fallback must be one of stand-in, none, digits, colour-digits, received 'mnist'"
    ):
        Images(fallback="mnist")
    with pytest.raises(ConfigError, match=r"unknown data set 'digit'; known: .*mnist.*; did you mean 'digits'"):
        lookup("digit")


def test_every_entry_works_offline() -> None:
    """It is embedded, or names a data set that is."""
    for entry in entries().values():
        assert bool(entry.package) is not entry.remote, entry.name
        assert lookup(entry.stand_in).package if entry.remote else not entry.stand_in


def test_validation_size_is_noted() -> None:
    for size, held_out, said in ((500, 500, ""), (700, 129, "val_size is 700 of 1,297 training images; 129 are held")):
        data = Images(name="digits", val_size=size)
        data.prepare()
        validation = data.validation(CPU)
        assert validation is not None
        assert sum(len(batch) for batch in validation) == held_out
        assert said in "".join(data.notes)
        assert bool(data.notes) is bool(said)


def test_only_training_is_augmented() -> None:
    plain = Images(name="digits", batch_size=64)
    changed = Images(name="digits", batch_size=64, augment=Augment(shift=2))
    for data in (plain, changed):
        data.prepare()
    (x, y), (z, labels) = (next(iter(data.train(CPU, 0))) for data in (plain, changed))
    assert torch.equal(y, labels)
    assert not torch.equal(x, z)
    (x, _), (z, _) = (next(iter(data.test(CPU))) for data in (plain, changed))
    assert torch.equal(x, z)


def test_idx_files(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x02" + struct.pack(">II", 2, 3) + bytes(range(6))))
    assert read_idx(path).tolist() == [[0, 1, 2], [3, 4, 5]]
    path.write_bytes(gzip.compress(b"\0\0\x08\x02" + struct.pack(">II", 2, 3) + bytes(5)))
    with pytest.raises(DataError, match="not an IDX file"):
        read_idx(path)


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(lookup("mnist"), mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setattr(images_module, "lookup", lambda name: gone)


def test_fallback_is_announced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    unreachable(monkeypatch)
    data = Images()
    data.prepare()
    assert data.info.name == "digits"
    assert data.info.fallback == "mnist could not be downloaded (127.0.0.1:9: no connection)"
    said = capsys.readouterr().err
    assert "uses digits instead (1,797 handwritten digits" in said
    assert "its figures say nothing about mnist, and get no verdict on what is published for it" in said


def test_no_fallback_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable(monkeypatch)
    with pytest.raises(DataError, match=r"data\.fallback is none"):
        Images(fallback="none").prepare()
