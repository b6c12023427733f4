"""Windows of a series hold the right steps, and no target is in two parts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lab.data import Series
from lab.data.batches import WindowBatches
from lab.data.catalog import RemoteFile, entries, lookup
from lab.data.own.steps import History
from lab.data.sets.series import LOADERS, from_file
from lab.data.spec import InputSpec, Values
from lab.errors import ConfigError, DataError

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
    recording = LOADERS["airline"]()
    assert recording.values.tolist() == [[112.0], [118.0]]
    assert recording.times == ("1949-01", "1949-02")
    assert recording.period == 12
    assert len(from_file("airline", ("passengers",), 12, steps=1).values) == 1
    with pytest.raises(DataError, match="must have 3 columns: the time, and a, b"):
        from_file("airline", ("a", "b"), 12)


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


def test_each_file_has_a_stand_in_of_its_form() -> None:
    for name, stand_in in (("temperature", "days"), ("sunspots", "days"), ("etth1", "hours")):
        assert lookup(name).stand_in == stand_in
    days, hours = LOADERS["days"](), LOADERS["hours"]()
    assert (days.values.shape, days.times[0], days.times[-1]) == ((3_650, 1), "2001-01-01", "2010-12-29")
    assert (hours.values.shape, hours.times[1]) == ((14_400, 7), "2001-01-01 01:00:00")
    same = days.values[:-365] - days.values[365:]
    assert same.var() < 0.7 * (days.values[:-182] - days.values[182:]).var(), "a season of 365 days"


def test_time_of_the_year_is_an_input() -> None:
    data = Series(name="days", past=3, horizon=2, yearly=2, test_size=365, val_size=0)
    data.prepare()
    assert data.spec.input == InputSpec((3, 5))
    assert data.spec.target == Values((2, 1), ("generated",))
    assert data.spec.reader == History(3, ("generated",), 2)
    x, y = next(iter(data.train(CPU, 0)))
    assert (x.shape, y.shape) == ((32, 3, 5), (32, 2, 1))
    assert torch.allclose(data.inputs[0, 1:], torch.tensor([1.0, 0, 1, 0])), "the first of January"
    cosine, sine, twice, _ = data.inputs[59, 1:]
    assert torch.allclose(
        torch.stack([cosine**2 + sine**2, 2 * cosine**2 - 1]), torch.stack([torch.tensor(1.0), twice])
    )
    assert torch.equal(data.inputs[365, 1:], data.inputs[0, 1:]), "a year later"
    with pytest.raises(ConfigError, match=r"data\.yearly needs dates .* first step of seasonal is at month 1"):
        Series(name="seasonal", yearly=1).prepare()


def test_predictions_read_the_time_of_the_year() -> None:
    rows = [f"2001-01-{t + 1:02d},{t}" for t in range(5)]
    given = History(2, ("x",), 1).read("\n".join(["day,x", *rows]).encode(), "own.csv")
    data = Series(name="days", yearly=1)
    data.prepare()
    assert torch.equal(given.inputs[0, :, 1:], data.inputs[3:5, 1:])  # type: ignore[index]
    with pytest.raises(ConfigError, match=r"data\.yearly needs dates .* first step of own\.csv"):
        History(2, ("x",), 1).read(b"x\n1\n2\n3\n", "own.csv")


def test_all_windows_before_the_test_are_unchanged() -> None:
    data = seasonal(past=24)
    targets = torch.cat([y for _, y in data.unchanged(CPU)]).flatten()
    assert torch.equal(targets, data.values[24:96, 0])
    longer = torch.cat([x for x, _ in data.tested_with(30)])
    assert longer.shape == (48, 30, 1)
    assert torch.equal(longer[:, -24:], torch.cat([x for x, _ in data.test(CPU)]))
