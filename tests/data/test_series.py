"""Windows of a series hold the right steps, and no target is in two parts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lab.data import Series
from lab.data.catalog import RemoteFile, entries, lookup
from lab.data.sets.series import WindowBatches, load_airline
from lab.data.spec import InputSpec, Values
from lab.errors import ConfigError

CPU = torch.device("cpu")


def seasonal(past: int = 24, horizon: int = 1, test_size: int = 48, val_size: int = 12) -> Series:
    data = Series(name="seasonal", past=past, horizon=horizon, test_size=test_size, val_size=val_size)
    data.prepare()
    return data


@pytest.mark.parametrize("horizon", [1, 3])
def test_parts_meet_without_overlap(horizon: int) -> None:
    data = seasonal(horizon=horizon)
    targets = []
    for part in (data.train(CPU, 0), data.validation(CPU), data.test(CPU)):
        assert part is not None
        windows = torch.cat([y for _, y in part])
        targets.append({float(step) for step in windows.flatten()})
        assert windows.shape[1:] == (horizon, 1)
    _, ends, begins, _ = data.bounds
    assert targets[1] == set(data.values[ends:begins].flatten().tolist())
    assert targets[2] == set(data.values[begins:].flatten().tolist())
    assert targets[0] == set(data.values[24:ends].flatten().tolist())


def test_targets_follow_their_past() -> None:
    series = torch.arange(20.0)[:, None]
    windows = WindowBatches(series, 3, 10, 5, 2, batch_size=4, seed=None)
    assert [len(batch) for batch in windows] == [4, 4, 2]
    for x, y in windows:
        assert torch.equal(torch.cat([x, y], 1)[..., 0].diff(), torch.ones(len(x), 6))
    first, _ = next(iter(windows))
    assert first[:, 0, 0].tolist() == [3, 4, 5, 6]


def test_spec_names_columns() -> None:
    data = seasonal(past=13, horizon=2)
    assert data.spec.input == InputSpec((13, 1))
    assert data.spec.target == Values((2, 1), ("generated",))


def test_airline_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a file of the same form, since the tests bring no data of others."""
    content = b'"Month","Passengers"\r\n"1949-01",112\r\n"1949-02",118\r\n'
    entry = lookup("airline")
    ours = RemoteFile(entry.files[0].name, len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(entries(), "airline", replace(entry, files=(ours,)))
    entry.folder.mkdir(parents=True)
    (entry.folder / ours.name).write_bytes(content)
    recording = load_airline()
    assert recording.values.tolist() == [[112.0], [118.0]]
    assert recording.times == ("1949-01", "1949-02")
    assert recording.period == 12


def test_impossible_windows_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"need 91 steps to train on, but of 144 steps 84 are left"):
        seasonal(past=90)
    with pytest.raises(ConfigError, match=r"data\.val_size must be at least data\.horizon, 13, received 12"):
        seasonal(horizon=13)
    with pytest.raises(ConfigError, match=r"data\.columns must be some of generated, .*did you mean 'generated'"):
        Series(name="seasonal", columns=["generatd"]).prepare()


def test_stand_in_needs_no_file() -> None:
    assert lookup("airline").stand_in == "seasonal"
    data = seasonal()
    assert data.values.shape == (144, 1)
    assert bool((data.values > 0).all())
    assert data.values[-12:].mean() > 2 * data.values[:12].mean(), "the generated series grows"
