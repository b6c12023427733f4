"""Texts with classes: their words, their folds, and what stands in for them."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from lab.data import Sentences
from lab.data.base import Batches
from lab.data.catalog import lookup
from lab.data.download import UnavailableError
from lab.data.own.examples import Texts
from lab.data.sets import sentences
from lab.data.sets.sentences import POLARITY, load_polarity, load_templates
from lab.data.spec import Classes, InputSpec
from lab.errors import ConfigError
from tests.conftest import REAL_DATA

CPU = torch.device("cpu")
WRITTEN = [f"word{i} and {'good' if i % 2 else 'bad'} again" for i in range(60)]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that each have a word of their own."""
    texts = Texts(WRITTEN, torch.tensor([i % 2 for i in range(60)]), POLARITY, "hash")
    monkeypatch.setitem(sentences.LOADERS, "templates", lambda: texts)
    return WRITTEN


def prepared(**settings: float) -> Sentences:
    data = Sentences(**{"name": "templates", "batch_size": 7} | settings)  # type: ignore[arg-type]
    data.prepare()
    return data


def texts_of(data: Sentences, batches: Batches | None) -> list[str]:
    return [
        data.words.decode(row[real].tolist())
        for batch in batches or ()
        if isinstance(batch.inputs, Tensor) and isinstance(batch.mask, Tensor)
        for row, real in zip(batch.inputs, batch.mask, strict=True)
    ]


def test_vocabulary_is_of_the_training_part(written: list[str]) -> None:
    """Each text has a word of its own, which is known in the training part and nowhere else."""
    data = prepared(fold=3)
    own = {"train": 1, "validation": 0, "test": 0}
    splits = {"train": data.train(CPU, 0), "validation": data.validation(CPU), "test": data.test(CPU)}
    for name, batches in splits.items():
        known = [any(word.startswith("word") for word in text.split()) for text in texts_of(data, batches)]
        assert known
        assert set(known) == {bool(own[name])}
    assert len(data.words) == 2 + 4 + len(texts_of(data, data.train(CPU, 0)))
    assert set(prepared(fold=3, min_count=2).words.known) == {"and", "good", "bad", "again"}


def test_folds_test_each_text_once() -> None:
    tested: Counter[str] = Counter()
    for fold in range(5):
        data = prepared(fold=fold, folds=5)
        (test, labels) = texts_of(data, data.test(CPU)), torch.cat([y for _, y in data.test(CPU)])
        assert labels.bincount().tolist() == [120, 120]
        rest = texts_of(data, data.train(CPU, 0)) + texts_of(data, data.validation(CPU))
        assert len(test) + len(rest) == 1_200
        assert not set(test) & set(rest)
        tested.update(test)
    assert tested == Counter(load_templates().texts)


def test_validation_is_stratified() -> None:
    data = prepared(val_size=0.25)
    assert torch.cat([y for _, y in data.validation(CPU) or ()]).bincount().tolist() == [135, 135]
    assert prepared(val_size=0).validation(CPU) is None


def test_dropped_words_are_unknown() -> None:
    """In training alone, in the same places again for the same seed."""
    data = prepared(word_dropout=0.3)
    first, again, other = (texts_of(data, data.train(CPU, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    words = " ".join(first).split()
    assert words.count("?") / len(words) == pytest.approx(0.3, abs=0.02)
    for batches in (data.validation(CPU), data.test(CPU), data.unchanged(CPU)):
        assert "?" not in " ".join(texts_of(data, batches)).split()


def test_all_that_is_trained_on_is_unchanged() -> None:
    data = prepared(word_dropout=0.3)
    assert len(texts_of(data, data.unchanged(CPU))) == 1_080
    assert len(texts_of(data, data.train(CPU, 0))) == 972, "the last batch is smaller"


def test_reviews_are_in_the_spec() -> None:
    data = prepared()
    assert data.spec.target == Classes(2, ("negative", "positive"))
    assert data.spec.input == InputSpec((19,), "int64", vocab=len(data.words))
    assert "generated" in lookup("templates").title
    assert "nobody wrote them" in lookup("templates").title


def test_templates_deny_words_of_the_other_class() -> None:
    """So that single words do not tell the class, and pairs of words do."""
    told = load_templates()
    assert len(set(told.texts)) == 1_200
    denied = [sum(f"never {word}" in text for text in told.texts[:600]) for word in sentences.GOOD]
    assert min(denied) > 10
    assert not any(f"never {word}" in text for text in told.texts[600:] for word in sentences.GOOD)


def test_missing_reviews_are_replaced(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object, **__: object) -> dict[str, bytes]:
        raise UnavailableError("rt-polarity could not be downloaded (no connection)")

    monkeypatch.setattr(sentences, "members", unavailable)
    data = Sentences()
    data.prepare()
    assert data.info.name == "templates"
    assert data.info.fallback
    assert "1,200 generated reviews" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fold": 10}, r"data\.fold must be from 0 to 9, received 10"),
        ({"folds": 1}, r"data\.folds must be at least 2, received 1"),
        ({"folds": 700}, r"data\.folds must be at most 600, the texts of the rarest class, negative, .* received 700"),
    ],
)
def test_impossible_folds_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepared(**settings)


def test_lines_with_an_ellipsis_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The byte 0x85, which ends a line elsewhere, ends none here."""
    monkeypatch.setattr(
        sentences,
        "members",
        lambda *_, **__: {
            "rt-polarity.neg": b"dull\x85 and long .\nsecond . \n",
            "rt-polarity.pos": b"caf\xe9 .\nfine .\n",
        },
    )
    told = load_polarity()
    assert told.texts == ["dull\x85 and long .", "second . ", "caf\xe9 .", "fine ."]
    assert told.labels.tolist() == [0, 0, 1, 1]


def test_published_reviews_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    if REAL_DATA is None or not (REAL_DATA / "rt-polarity").is_dir():
        pytest.skip("needs the reviews: run `lab data fetch rt-polarity`, or set LAB_DATA_DIR")
    monkeypatch.setenv("LAB_DATA_DIR", str(REAL_DATA))
    told = load_polarity()
    assert told.labels.bincount().tolist() == [5_331, 5_331]
    assert sum("\x85" in text for text in told.texts) == 22
    assert told.sha256 == lookup("rt-polarity").sha256
