"""Spans are scored as the CoNLL evaluation does, and a tagger learns which tags may follow each other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from lab.data import Tagged
from lab.data.generated.phrases import TAGS, TEST, TRAINING, VALIDATION
from lab.data.spec import Classes, DataSpec, InputSpec, Tags
from lab.encoders import Recurrent
from lab.errors import ConfigError
from lab.saving.specs import spec_as_json, spec_from_json
from supervised.tagging import Tagger
from supervised.tagging.drawn import Told, drawn, written
from supervised.tagging.spans import Span, SpanScore, spans

CPU = torch.device("cpu")
ENCODER = partial(Recurrent, width=16, embedding=16, bidirectional=True)


def phrases(train_size: int = 300) -> Tagged:
    data = Tagged(train_size=train_size, val_size=40, test_size=60)
    data.prepare()
    return data


def trained(data: Tagged, epochs: int) -> Tagger:
    torch.manual_seed(0)
    model = Tagger(data.spec, encoder=ENCODER)
    optimizer, batches = torch.optim.Adam(model.parameters(), lr=1e-2), data.train(CPU, 0)
    for _ in range(epochs):
        for batch in batches:
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model.eval()


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O", []),
        ("B-date I-date O", [("date", 0, 2)]),
        ("B-date B-date", [("date", 0, 1), ("date", 1, 2)]),
        ("B-date I-name", [("date", 0, 1), ("name", 1, 2)]),
        ("O I-name I-name B-name", [("name", 1, 3), ("name", 3, 4)]),
        ("I-date O I-date", [("date", 0, 1), ("date", 2, 3)]),
        ("verb verb noun", [("verb", 0, 2), ("noun", 2, 3)]),
    ],
)
def test_spans_of_tags(tags: str, expected: list[tuple[str, int, int]]) -> None:
    """As seqeval 1.2.2 has them, whose definition this is."""
    assert list(spans(tags.split())) == [Span(*one) for one in expected]


def test_scores_count_whole_spans() -> None:
    """Of two predicted spans one is right, and three are true; padding counts for nothing."""
    names = ("O", "B-a", "I-a", "B-b")
    true = torch.tensor([[1, 2, 0, 3], [1, -1, -1, -1]])
    found = torch.tensor([[1, 2, 0, 0], [3, 3, 3, 3]])
    expected = {"precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5}
    for what, share in expected.items():
        score = SpanScore(names, what)
        score.update(found, true)
        assert float(score.compute()) == pytest.approx(share)
    only_b = SpanScore(names, "f1", "b")
    only_b.update(found, true)
    assert float(only_b.compute()) == 0
    nothing = SpanScore(names)
    nothing.update(torch.zeros_like(true), torch.zeros_like(true))
    assert float(nothing.compute()) == 0


def test_templates_are_of_one_part_each() -> None:
    assert len({*TRAINING, *VALIDATION, *TEST}) == len(TRAINING) + len(VALIDATION) + len(TEST)
    data = phrases()
    written = [{tuple(one.tolist()) for one in ids} for ids, _ in data.parts]
    assert not written[0] & written[2]


def test_words_alone_are_ambiguous() -> None:
    """`may` has all kinds of tags, and tags go on only with what has begun."""
    data = phrases(1_000)
    ids, tags = (torch.cat(one) for one in data.parts[0])
    kinds = {TAGS[tag].removeprefix("B-").removeprefix("I-") for tag in tags[ids == data.words.id_of("may")].tolist()}
    assert kinds == {"O", "date", "name"}
    for row in data.parts[0][1]:
        for before, tag in zip([0, *row.tolist()], row.tolist(), strict=False):
            assert not TAGS[tag].startswith("I-") or TAGS[before][2:] == TAGS[tag][2:]


def test_learns_phrases() -> None:
    """Better than each word's most frequent tag, and with what may follow what in its transitions."""
    data = phrases()
    model = trained(data, 10)
    (batch,) = data.test(CPU)
    metrics = model.metrics()
    with torch.no_grad():
        model.measure(batch, metrics)
    baselines = model.baselines(data)
    assert float(metrics["f1"].compute()) > 0.6 > baselines["most frequent tag of the word"]["test/f1"]
    assert baselines["logistic regression on five words"].keys() == {f"test/{name}" for name in metrics}
    assert model.crf is not None
    into = model.crf.transitions[:, TAGS.index("I-date")]
    assert into[TAGS.index("B-date")] > into[TAGS.index("O")]
    assert into[TAGS.index("B-date")] > into[TAGS.index("B-name")]


def test_padded_sentences_are_tagged_as_each_alone() -> None:
    data = phrases()
    model, reader = trained(data, 1), data.spec.reader
    assert reader is not None
    given = reader.read(b"may paid rose 12 pounds\non 12 may april zzz gave mark young twelve euros", "lines")
    assert isinstance(given.inputs, torch.Tensor)
    assert isinstance(given.mask, torch.Tensor)
    together = model.predict(given.inputs, given.mask)
    alone = [model.predict(row[real][None])[0] for row, real in zip(given.inputs, given.mask, strict=True)]
    assert together == alone


def test_without_field_each_word_stands_alone() -> None:
    """The loss is then that of a softmax at each word, and so it is with a field that has learned nothing."""
    data = phrases()
    (batch,) = data.test(CPU)
    losses = []
    for crf in (True, False):
        torch.manual_seed(0)
        model = Tagger(data.spec, encoder=ENCODER, crf=crf).eval()
        losses.append(float(model.losses(batch)["loss"].detach()))
        assert bool(model.told()) == crf
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_mistakes_are_shown() -> None:
    told = Told(["on", "12", "may", "rose"], [Span("date", 1, 3), Span("name", 3, 4)], [Span("date", 1, 4)])
    assert written(told).splitlines() == [
        "true:      on [12 may]date [rose]name",
        "predicted: on [12 may rose]date",
    ]
    assert told.wrong
    assert drawn([told] * 3).height < drawn([told] * 5).height, "a row for each sentence"
    long = Told(["word"] * 60, [Span("name", 10, 50)], [])
    assert drawn([long]).height > 2 * drawn([told]).height, "and more rows for a long one"


def test_spec_is_saved() -> None:
    spec = phrases().spec
    again = spec_from_json(spec_as_json(spec))
    assert again == spec
    assert again.reader == spec.reader


def test_other_data_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Tagger needs a class for each word, as lab\.data\.Tagged has"):
        Tagger(DataSpec(InputSpec((5,), "int64", vocab=3), Classes(2)), encoder=ENCODER)
    with pytest.raises(ConfigError, match=r"Tagger needs sequences, received inputs of shape \(3,\)"):
        Tagger(DataSpec(InputSpec((3,)), Tags(2)), encoder=ENCODER)


@pytest.mark.slow
def test_file_has_logits_and_transitions() -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    data = phrases()
    Tagger(data.spec, encoder=ENCODER).eval().export(Path("tagger.onnx"))
    told = {one.key for one in onnx.load("tagger.onnx").metadata_props}
    assert told >= {"classes", "transitions", "start", "end"}
