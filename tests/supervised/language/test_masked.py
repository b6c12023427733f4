"""Hidden words: which are hidden, that they are learned from both sides, and that the encoder is handed on."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lab.data import Batch, Images, Sentences
from lab.data.own.examples import Texts
from lab.data.sets import sentences
from lab.data.tokenizers.words import Words
from lab.encoders import MLP, Pretrained, TextConv, Transformer
from lab.encoders.files import save_encoder
from lab.errors import ConfigError
from supervised.language import MaskedLanguageModel
from supervised.representation import FineTuned

CPU = torch.device("cpu")
WIDTH = partial(Transformer, width=32, layers=1, heads=2, dropout=0.0)
BOTH = [f"{a} x {b}" for a in "ab" for b in "cd"]
"""The word in the middle follows from those on both sides together, and from neither alone."""


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Sentences:
    middle = {"a x c": "p", "a x d": "q", "b x c": "r", "b x d": "s"}
    written = [pair.replace("x", middle[pair]) for pair in BOTH for _ in range(24)]
    texts = Texts(written, torch.arange(len(written)) % 2, ("negative", "positive"), "hash")
    monkeypatch.setitem(sentences.LOADERS, "templates", lambda: texts)
    made = Sentences(name="templates", folds=3, val_size=0, batch_size=32, eval_batch_size=100)
    made.prepare()
    return made


def built(data: Sentences) -> MaskedLanguageModel:
    torch.manual_seed(0)
    return MaskedLanguageModel(data.spec, encoder=WIDTH, share=0.3)


def tensors(batch: Batch) -> tuple[Tensor, Tensor]:
    assert isinstance(batch.inputs, Tensor)
    assert isinstance(batch.mask, Tensor)
    return batch.inputs, batch.mask


def test_shares_of_hidden_words(data: Sentences) -> None:
    """Of all words 30 %; of these 80 % unknown, about 10 % another word, about 10 % the same. Never padding."""
    model, x = built(data), torch.randint(2, 10, (300, 40))
    x[:, 30:], x[:, 0] = Words.PAD, Words.UNKNOWN
    seen, chosen = model.hide(x, x != Words.PAD, torch.Generator().manual_seed(0))
    assert torch.equal(seen[~chosen], x[~chosen])
    assert not chosen[:, 30:].any()
    assert not chosen[:, 0].any()
    assert chosen[:, 1:30].float().mean().item() == pytest.approx(0.3, abs=0.02)
    unknown = (seen == Words.UNKNOWN)[chosen].float().mean().item()
    same = (seen == x)[chosen].float().mean().item()
    assert unknown == pytest.approx(0.8, abs=0.02)
    assert same == pytest.approx(0.1 + 0.1 / 8, abs=0.02)


def test_a_batch_has_a_hidden_word(data: Sentences) -> None:
    model, x = built(data), torch.tensor([[1, 5, 0]])
    for seed in range(20):
        _, chosen = model.hide(x, x != 0, torch.Generator().manual_seed(seed))
        assert chosen.tolist() == [[False, True, False]]


def test_validation_hides_the_same_words(data: Sentences) -> None:
    model, (batch,) = built(data).eval(), data.test(CPU)
    assert all(torch.equal(a, b) for a, b in zip(model.fixed(batch), model.fixed(batch), strict=True))
    assert model.losses(batch)["loss"] == model.losses(batch)["loss"]
    first, second = (model.train().losses(batch)["loss"] for _ in range(2))
    assert first != second


def test_words_are_learned_from_both_sides(data: Sentences) -> None:
    """What counts alone cannot say: the left word or the right one alone leaves two words as likely."""
    model = built(data)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        for batch in data.train(CPU, 0):
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    reader = data.spec.reader
    assert reader is not None
    given = reader.read(b"a ____ c\nb ____ c\nb ____ d", "-")
    found = model.predict(given.inputs, given.mask)  # type: ignore[arg-type]
    assert [one.things[0]["label"] for one in found if one.things] == ["p", "r", "s"]
    (batch,) = data.test(CPU)
    told = model.eval().texts(batch)["guesses"]
    assert "____1" in told
    counted = model.baselines(data)
    metrics = model.metrics()
    model.measure(batch, metrics)
    assert metrics["perplexity"].compute() < counted["unigrams"]["test/perplexity"]
    assert metrics["accuracy"].compute() > counted["unigrams"]["test/accuracy"]


def test_unigrams_are_the_shares_of_words(data: Sentences) -> None:
    model, counts = built(data), Counter[int]()
    for batch in data.train(CPU, 0):
        x, mask = tensors(batch)
        counts.update(x[mask].tolist())
    total, nats = sum(counts.values()), list[float]()
    for batch in data.test(CPU):
        x, _ = tensors(batch)
        nats += [-math.log(counts[word] / total) for word in x[model.fixed(batch).chosen].tolist()]
    expected = math.exp(sum(nats) / len(nats))
    assert model.baselines(data)["unigrams"]["test/perplexity"] == pytest.approx(expected, rel=0.01)


def test_encoder_is_trained_further(data: Sentences, tmp_path: Path) -> None:
    """Both networks take masks: padding changes neither, and the other network has random weights."""
    save_encoder(built(data).encoder, tmp_path)
    tuned = FineTuned(data.spec, encoder=Pretrained(str(tmp_path))).eval()
    batch = next(iter(data.train(CPU, 0)))
    x, mask = tensors(batch)
    padded = Batch(torch.cat([x[:, :2], x[:, 2:] * 0], 1), batch.targets, mask & (torch.arange(3) < 2))
    short = Batch(x[:, :2], batch.targets, mask[:, :2])
    for name, loss in tuned.losses(padded).items():
        assert torch.allclose(loss, tuned.losses(short)[name], atol=1e-5)
    assert tuned.losses(padded)["tuned_loss"] != tuned.losses(padded)["scratch_loss"]


def test_other_networks_are_refused(data: Sentences) -> None:
    with pytest.raises(ConfigError, match=r"token vectors of shape .* which TextConv does not have"):
        MaskedLanguageModel(data.spec, encoder=partial(TextConv, embedding=8))
    digits = Images(name="digits")
    digits.prepare()
    with pytest.raises(ConfigError, match=r"needs texts as words, as lab\.data\.Sentences gives them"):
        MaskedLanguageModel(digits.spec, encoder=MLP)
    reader = data.spec.reader
    assert reader is not None
    given = reader.read(b"a p c", "-")
    with pytest.raises(ConfigError, match="no word to guess in 'a p c': write ____"):
        built(data).predict(given.inputs, given.mask)  # type: ignore[arg-type]
