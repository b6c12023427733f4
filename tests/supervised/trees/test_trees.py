"""Models of trees learn what a part of a tree tells of the whole, and say so in pictures, texts and predictions."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from lab.data import ListOps, Treebank
from lab.data.base import DataModule
from lab.data.generated.expressions import depth_of, parsed, root_alone, value_of
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import Recurrent, Tree
from lab.errors import ConfigError
from lab.training.model import Model
from supervised.trees import Evaluator, NodeClassifier
from supervised.trees.depths import AccuracyAt
from supervised.trees.drawn import Node, forest

CPU = torch.device("cpu")
FEW = {"train_size": 300, "val_size": 20, "test_size": 100, "batch_size": 50}


def lists(form: str = "tree") -> ListOps:
    data = ListOps(form=form, **FEW)  # type: ignore[arg-type]
    data.prepare()
    return data


def reviews(**settings: object) -> Treebank:
    data = Treebank(**{"name": "tree-templates", "batch_size": 40} | settings)  # type: ignore[arg-type]
    data.prepare()
    return data


def train(model: Model, data: DataModule, epochs: int) -> None:
    optimizer, batches = torch.optim.Adam(model.parameters(), lr=1e-2), data.train(CPU, 0)
    for _ in range(epochs):
        for batch in batches:
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    model.eval()


def test_learns_what_parts_say() -> None:
    """Nearly every part is rated correctly, also where `never` or `but` stands before others."""
    torch.manual_seed(0)
    data = reviews()
    model = NodeClassifier(data.spec, encoder=partial(Tree, cell="binary", width=16))
    train(model, data, 14)
    (batch,) = data.test(CPU)
    metrics = model.metrics()
    with torch.no_grad():
        model.measure(batch, metrics)
        assert set(model.pictures(batch)) == {"trees"}
    told = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert told["accuracy_nodes"] > 0.95
    simple = model.baselines(data)
    assert told["accuracy"] > 2 * simple["most frequent class"]["test/accuracy"]
    assert set(simple) == {"most frequent class", "logistic regression", "naive Bayes"}


def test_parts_without_class_have_no_loss() -> None:
    data = reviews(classes=2)
    model = NodeClassifier(data.spec, encoder=partial(Tree, width=8)).eval()
    (batch,) = data.test(CPU)
    assert isinstance(batch.targets, torch.Tensor)
    known = batch.targets >= 0
    assert known[:, 0].all()
    assert not known.all()
    logits = model(batch.inputs, batch.mask)
    expected = torch.nn.functional.cross_entropy(logits[known], batch.targets[known])
    torch.testing.assert_close(model.losses(batch)["loss"], expected)


def test_bracketed_sentences_are_predicted() -> None:
    """Labels in brackets change nothing, and padded trees are predicted as each alone."""
    data = reviews()
    model, reader = NodeClassifier(data.spec, encoder=partial(Tree, width=8)), data.spec.reader
    assert reader is not None
    text = b"(4 (2 (2 the) (2 plot)) (4 (2 is) (4 superb)))\n((the) (cast))\n"
    given = reader.read(text, "lines")
    assert isinstance(given.inputs, dict)
    assert isinstance(given.mask, dict)
    both = model.predict(given.inputs, given.mask)
    again = model.predict(reader.read(b"(((the) (plot)) ((is) (superb)))", "lines").inputs)  # type: ignore[arg-type]
    assert both[0].label == again[0].label
    assert both[0].probability == pytest.approx(again[0].probability)
    assert [one.label in data.spec.target.names for one in both] == [True, True]  # type: ignore[union-attr]


def test_vectors_have_a_rate_of_their_own() -> None:
    spec = reviews().spec
    model = NodeClassifier(spec, encoder=partial(Tree, width=8), embedding_rate=0.1)
    rates = {group.rate: len(list(group.parameters)) for group in model.parameter_groups()}
    assert rates[0.1] == 1
    assert sum(rates.values()) == len(list(model.parameters()))


@pytest.mark.parametrize("form", ["tree", "flat"])
def test_lists_are_evaluated(form: str) -> None:
    """Learned by heart; the metrics count each depth; what is wrong is told as it is written."""
    torch.manual_seed(0)
    data = lists(form)
    encoder = partial(Tree, width=16) if form == "tree" else partial(Recurrent, width=16, embedding=16)
    model = Evaluator(data.spec, encoder=encoder)
    (batch,) = data.test(CPU)
    written = list(model._expressions(batch))
    assert [tuple(one) for one in written] == [*data.parts[2]]
    model.on_test_epoch_start()
    model.eval()
    with torch.no_grad():
        model.measure(batch, model.running)
        right = model(batch.inputs, batch.mask).argmax(1) == batch.targets
        model.shares = {depth: float(model.running[f"accuracy_depth_{depth}"].compute()) for depth in (2, 3, 4)}
        pictures = model.pictures(batch)
    assert float(model.running["accuracy"].compute()) == pytest.approx(float(right.float().mean()))
    deep = torch.tensor([depth_of(one) == 4 for one in written])
    assert model.shares[4] == pytest.approx(float(right[deep].float().mean()))
    assert set(pictures) == ({"depths", "trees"} if form == "tree" else {"depths"})
    first = int((~right).nonzero()[0])
    told = model.texts(batch)["mistakes"].splitlines()[0]
    assert told.startswith(model.reader.written(data.reader.parts(written[first])))
    assert f" is {value_of(written[first])}, predicted " in told


def test_tree_learns_lists() -> None:
    torch.manual_seed(0)
    data = lists()
    model = Evaluator(data.spec, encoder=partial(Tree, width=24))
    before = [float(model.losses(batch)["loss"].detach()) for batch in data.train(CPU, 0)]
    train(model, data, 12)
    after = [float(model.losses(batch)["loss"].detach()) for batch in data.train(CPU, 0)]
    assert max(after) < 0.8 * min(before)


def test_baselines_look_at_the_root() -> None:
    data = lists()
    model = Evaluator(data.spec, encoder=partial(Tree, width=8))
    found = model.baselines(data)["the root's own digits alone"]
    expected = sum(value_of(one) == root_alone(one) for one in data.parts[2]) / 100
    assert found["test/accuracy"] == pytest.approx(expected)
    assert found.keys() == {f"test/{name}" for name in model.metrics()}


def test_lists_are_predicted() -> None:
    data = lists()
    reader = data.spec.reader
    assert reader is not None
    model = Evaluator(data.spec, encoder=partial(Tree, width=8))
    given = reader.read(b"[MAX 2 9 [MIN 4 7 ] 0 ]\n\n[SM 1 2 3]\n", "lists")
    assert [one["line"] for one in given.labels] == [1, 3]
    found = model.predict(given.inputs, given.mask)
    alone = model.predict(reader.read_text("[SM 1 2 3 ]").inputs)  # type: ignore[attr-defined]
    assert found[1].label == alone[0].label
    with pytest.raises(ConfigError, match="an ONNX file is for models with one input, but this one takes the parts"):
        _ = model.takes


def test_no_depth_has_no_share() -> None:
    metric = AccuracyAt(3)
    metric.update(torch.tensor([1, 2]), torch.tensor([1, 1]), torch.tensor([3, 3]))
    assert float(metric.compute()) == 0.5
    other = AccuracyAt(2)
    other.update(torch.tensor([1]), torch.tensor([1]), torch.tensor([3]))
    assert float(other.compute()) == 0


def test_boxes_do_not_overlap() -> None:
    """A tree with more leaves is wider, one with longer words too, and a deeper one is higher."""
    small = [Node(0, "", "1"), Node(1, "a", "1", "1"), Node(1, "b", "0", "1")]
    wide = [Node(0, "", "1"), Node(1, "extraordinarily", "1"), Node(1, "b", "0", "1")]
    deep = [Node(0, "", "1"), Node(1, "", "1"), Node(2, "a", "1"), Node(2, "b", "1"), Node(1, "c", "1")]
    sizes = [forest([one], "").size for one in (small, wide, deep)]
    assert small[2].told == "0, true 1"
    assert sizes[1][0] > sizes[0][0]
    assert sizes[2][1] > sizes[0][1]
    assert forest([small, small], "").height > sizes[0][1]


def test_other_data_are_refused() -> None:
    spec = DataSpec(InputSpec((5,), "int64", vocab=3), Classes(2))
    with pytest.raises(ConfigError, match=r"Evaluator needs the expressions of lab\.data\.ListOps"):
        Evaluator(spec, encoder=partial(Recurrent, width=4))
    with pytest.raises(ConfigError, match="NodeClassifier needs a class for each node"):
        NodeClassifier(spec, encoder=partial(Recurrent, width=4))
    assert parsed("[MIN 1 2 ]")
