"""Texts are cut into windows that cover them, in an order that follows from seed and epoch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lab.data import Text
from lab.data.batch import Batch
from lab.data.own.texts.passages import Written
from lab.data.sets import texts
from lab.data.sets.texts import Windows
from lab.data.spec import InputSpec, Tokens
from lab.data.tokenizers.characters import Characters
from lab.errors import ConfigError

CPU = torch.device("cpu")
WRITTEN = "".join(chr(ord("a") + i * i % 26) for i in range(1003))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(texts.LOADERS, "topics", lambda: Written(WRITTEN, "hash"))
    return WRITTEN


def prepared(**settings: int) -> Text:
    data = Text(**{"name": "topics", "block": 8, "batch_size": 3, "val_size": 100} | settings)  # type: ignore[arg-type]
    data.prepare()
    return data


def decoded(data: Text, ids: Tensor) -> str:
    assert isinstance(data.spec.target, Tokens)
    assert data.spec.target.tokenizer is not None
    return data.spec.target.tokenizer.decode(ids.tolist())


def test_spec(written: str) -> None:
    data = prepared()
    vocab = len(set(written))
    assert data.spec.input == InputSpec((8,), "int64", vocab=vocab)
    assert data.spec.target == Tokens(vocab, 8, -1, Characters.of(written))
    assert len(data.notes) == 1
    assert "version of Python" in data.notes[0]


def test_splits_follow_each_other(written: str) -> None:
    """Validation is the end of the training part, and the test the last tenth; their windows cover them."""
    data = prepared()
    for batches, part in ((data.validation(CPU), written[802:902]), (data.test(CPU), written[902:])):
        assert batches is not None
        inputs, targets, weight = "", "", 0
        for batch in batches:
            x, y = batch
            assert isinstance(batch.mask, Tensor)
            assert (y[~batch.mask] == -1).all()
            inputs += decoded(data, x[batch.mask])
            targets += decoded(data, y[batch.mask])
            weight += batch.weight
        assert (inputs, targets, weight) == (part[:-1], part[1:], len(part) - 1)
    assert prepared(val_size=0).validation(CPU) is None


def test_training_windows_predict_the_next_character(written: str) -> None:
    data = prepared()
    for batch in data.train(CPU, 0):
        x, y = batch
        assert x.shape == y.shape == (3, 8)
        assert batch.weight == 24
        assert torch.equal(x[:, 1:], y[:, :-1])
        for window, target in zip(x, y, strict=True):
            assert decoded(data, window) + decoded(data, target[-1:]) in written[:802]


def starts(windows: Windows) -> list[int]:
    return [int(x[0]) for batch in windows for x in batch.inputs]


def test_epoch_covers_the_text_once() -> None:
    ids = torch.arange(100)
    first, again, other = (Windows(ids, 8, batch_size=1, seed=seed) for seed in (0, 0, 1))
    epochs = [starts(first) for _ in range(20)]
    assert epochs == [starts(again) for _ in range(20)]
    assert epochs[0] != starts(other)
    for epoch in epochs:
        assert epoch != sorted(epoch)
        assert {b - a for a, b in zip(sorted(epoch), sorted(epoch)[1:], strict=False)} == {8}
        assert min(epoch) < 8
        assert len(epoch) == 11
    assert len({min(epoch) for epoch in epochs}) > 4, "the offset is drawn anew"


def test_every_offset_fits() -> None:
    for length in range(16, 33):
        windows = Windows(torch.arange(length), 8, batch_size=1, seed=0)
        for _ in range(30):
            assert all(isinstance(batch, Batch) and int(batch.targets.max()) < length for batch in windows)  # type: ignore[union-attr]


@pytest.mark.parametrize("consumed", [0, 1, 10, 11, 12])
def test_resumes_at_the_next_window(consumed: int) -> None:
    whole = Windows(torch.arange(100), 8, batch_size=1, seed=0)
    everything = [start for _ in range(4) for start in starts(whole)]
    first = Windows(torch.arange(100), 8, batch_size=1, seed=0)
    epoch = iter(first)
    for i in range(consumed):
        if i and i % len(first) == 0:
            epoch = iter(first)
        next(epoch)
    resumed = Windows(torch.arange(100), 8, batch_size=1, seed=0)
    resumed.load_state_dict(first.state_dict())
    rest = [start for _ in range(2) for start in starts(resumed)]
    assert rest == everything[consumed:][: len(rest)]


@pytest.mark.parametrize("settings", [{"val_size": 890}, {"block": 500}])
def test_too_little_to_train_on(settings: dict[str, int], written: str) -> None:
    with pytest.raises(ConfigError, match=r"need a text of at least 1,\d\d\d characters, .* has 1,003"):
        prepared(**settings)


def test_topics_are_embedded() -> None:
    data = Text(name="topics")
    data.prepare()
    assert data.info.name == "topics"
    assert data.info.fallback is None
    (x, _) = next(iter(data.test(CPU)))
    assert x.shape == (128, 64)
