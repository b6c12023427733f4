"""A classifier of texts learns what words in a row say, and predicts padded texts as it does each alone."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lab.data import Sentences
from lab.encoders import TextConv
from supervised.classifier import Classifier

CPU = torch.device("cpu")


def reviews() -> Sentences:
    data = Sentences(name="templates", folds=2, val_size=0, batch_size=60, eval_batch_size=600)
    data.prepare()
    return data


def trained(data: Sentences, width: int) -> Classifier:
    """A classifier with filters of one width, after four epochs."""
    torch.manual_seed(0)
    model = Classifier(data.spec, encoder=partial(TextConv, embedding=16, widths=[width], filters=32, pool="mean"))
    optimizer, batches = torch.optim.Adam(model.parameters(), lr=2e-2), data.train(CPU, 0)
    for _ in range(4):
        for batch in batches:
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval()


def test_denied_words_are_learned() -> None:
    """By filters that see a word and the one before it, and not by those that see single words."""
    data = reviews()
    shares = []
    for width in (1, 2):
        model, (batch,) = trained(data, width), data.test(CPU)
        shares.append(float(model.losses(batch)["accuracy"]))
    assert shares[0] < 0.9
    assert shares[1] > 0.97


def test_padded_texts_are_predicted_as_each_alone() -> None:
    data = reviews()
    model, reader = Classifier(data.spec, encoder=partial(TextConv, pool="mean")), data.spec.reader
    assert reader is not None
    given = reader.read(b"the plot is dull .\na film with a warm cast . and yes , the lead is bold .", "lines")
    assert isinstance(given.inputs, Tensor)
    assert isinstance(given.mask, Tensor)
    assert not given.mask.all()
    together = model.predict(given.inputs, given.mask)
    alone = [model.predict(row[real][None])[0] for row, real in zip(given.inputs, given.mask, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one.label == other.label
        assert one.probability is not None
        assert abs(one.probability - (other.probability or 0)) < 1e-6


def test_mistakes_are_written_as_texts() -> None:
    data = reviews()
    model, (batch,) = Classifier(data.spec, encoder=TextConv).eval(), data.test(CPU)
    assert model.texts(batch) == {}
    model.on_test_epoch_start()
    model.measure(batch, {})
    first = model.texts(batch)["mistakes"].splitlines()[0]
    assert isinstance(batch.inputs, Tensor)
    assert isinstance(batch.targets, Tensor)
    told, _, text = first.partition(": ")
    place = [data.words.decode(row[row > 0].tolist()) for row in batch.inputs].index(text)
    true = model.names[int(batch.targets[place])]
    assert told in {f"true {true}, predicted {other}" for other in model.names if other != true}
