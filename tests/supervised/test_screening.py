"""Screening finds the share of the positive class that it was asked to, at a threshold that is saved with it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lab
from lab.data import Table
from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec
from lab.encoders import MLP, InputSpec
from lab.errors import ConfigError
from supervised.screening import Screening
from supervised.screening.scores import Scored, binned, choose_threshold, screening_metrics

SPEC = DataSpec(InputSpec((30,)), Classes(2, ("malignant", "benign")))
CPU = torch.device("cpu")


def screening(**settings: Any) -> Screening:
    torch.manual_seed(0)
    return Screening(SPEC, encoder=partial(MLP, hidden=[4]), positive="malignant", scale=True, **settings)


def table(**settings: Any) -> Table:
    data = Table(**settings)
    data.prepare()
    return data


def test_threshold_keeps_its_promise() -> None:
    """A new score reaches it with the promised probability, whatever the scores are distributed like."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(4_000, 50, generator=generator).square()
    found = [float(row[-1] >= choose_threshold(row[:-1], 0.9)) for row in scores]
    assert sum(found) / len(found) == pytest.approx(0.9, abs=0.015)


def test_threshold_by_hand() -> None:
    scores = torch.arange(1, 50) / 100
    assert choose_threshold(scores, 0.98) == pytest.approx(0.01)
    assert choose_threshold(scores, 0.9) == pytest.approx(0.05)
    assert choose_threshold(scores[:3], 0.98) == pytest.approx(0.01), "too few: the smallest"


def test_screening_learns_cancer() -> None:
    run = lab.run("cancer-mlp", {"threads": 1, "trainer.max_epochs": 6}, runs_dir="runs")
    assert (run.metrics["test/auroc"] or 0) > 0.95
    assert (run.metrics["test/accuracy"] or 0) > run.baselines["most frequent class"]["test/accuracy"] + 0.2
    names = {path.name.rsplit("-", 1)[0] for path in (run.dir / "media").iterdir()}
    assert names == {"confusion_matrix", "precision_recall", "roc", "reliability", "cost"}
    trained = lab.load(run.dir)
    assert 0 < float(trained.threshold) != 0.5
    assert float(trained.scaling.mean.max()) > 100, "the scaling is saved in the units of the table"
    last = lab.evaluate(run.dir)
    assert last.metrics == run.metrics


def test_threshold_is_chosen_on_validation_examples() -> None:
    data, model = table(val_size=0.3), screening(recall=0.9)
    model.adapt(data)
    model.settle(data)
    batch = next(iter(data.validation(CPU) or ()))
    assert isinstance(batch.targets, torch.Tensor)
    scores = model.eval()(batch.inputs).softmax(1)[batch.targets == 0, 0].detach()
    assert float(model.threshold) == pytest.approx(choose_threshold(scores, 0.9))
    assert int((scores < model.threshold).sum()) == 4  # (1 - 0.9) * (57 + 1) is 5.8: the fifth smallest


def test_metrics_use_the_threshold() -> None:
    data, model = table(), screening().eval()
    model.adapt(data)
    x, labels = torch.cat([x for x, _ in data.test(CPU)]), torch.cat([y for _, y in data.test(CPU)])
    scores = model(x).softmax(1)[:, 0].detach()
    model.threshold.fill_(float(scores.quantile(0.7)))
    metrics = model.metrics()
    for part in (slice(0, 20), slice(20, None)):
        model.measure(Batch(x[part], labels[part]), metrics)
    flagged, positive = scores >= model.threshold, labels == 0
    found = float((flagged & positive).sum())
    assert float(metrics["recall"].compute()) == pytest.approx(found / float(positive.sum()))
    assert float(metrics["precision"].compute()) == pytest.approx(found / float(flagged.sum()))
    assert float(metrics["accuracy"].compute()) == pytest.approx(float(((scores > 0.5) == positive).float().mean()))
    predicted = [one.label == "malignant" for one in model.predict(x)]
    assert predicted == flagged.tolist()


def scored(scores: list[float], truth: list[int]) -> Scored:
    """Examples of two classes, of which 0 is to be found; `truth` is 1 for those of it."""
    positive = torch.tensor(scores)
    return Scored(torch.stack([positive, 1 - positive], 1), 1 - torch.tensor(truth), positive=0)


def test_cost_of_a_miss_by_hand() -> None:
    """One is missed and two are false alarms."""
    one = scored([0.9, 0.2, 0.8, 0.7, 0.1], [1, 1, 0, 0, 0])
    assert one.costs(0.5, 10).tolist() == [0, 10, 1, 1, 0]
    metrics = screening_metrics(2)
    one.update(metrics, 0.5, 10)
    assert float(metrics["cost"].compute()) == pytest.approx(12 / 5)
    assert one.costs(0.0, 10).tolist() == [0, 0, 1, 1, 1], "flag all"


def test_least_cost_is_where_theory_has_it() -> None:
    """Scores that are true probabilities cost least at 1 / (1 + cost of a miss) (Elkan 2001)."""
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(100_000, generator=generator)
    happened = torch.rand(100_000, generator=generator) < probabilities
    one = Scored(torch.stack([probabilities, 1 - probabilities], 1), (~happened).long(), positive=0)
    tried = torch.linspace(0.05, 0.95, 19)
    costs = [float(one.costs(threshold, 4.0).mean()) for threshold in tried]
    assert float(tried[costs.index(min(costs))]) == pytest.approx(0.2, abs=0.051)


def test_calibration_error_by_hand() -> None:
    """Three of four at 0.75 are right as they are; of the two at 0.95, half are true."""
    one = scored([0.75, 0.75, 0.75, 0.75, 0.95, 0.95], [1, 1, 1, 0, 1, 0])
    metrics = screening_metrics(2)
    one.update(metrics, 0.5, 10)
    groups = binned(one)
    assert groups.counts.tolist() == [4, 2]
    assert groups.scores.tolist() == pytest.approx([0.75, 0.95])
    assert groups.shares.tolist() == [0.75, 0.5]
    assert float(metrics["ece"].compute()) == pytest.approx((2 / 6) * 0.45)
    error = ((groups.scores - groups.shares).abs() * groups.counts).sum() / 6
    assert float(error) == pytest.approx(float(metrics["ece"].compute())), "the picture shows the metric"


def test_baseline_is_that_of_scikit_learn() -> None:
    data = table(fold=4)
    (x, y), (x_more, y_more), (x_test, y_test) = (
        tuple(torch.cat(parts).numpy() for parts in zip(*split, strict=True))
        for split in (data.train(CPU, 0), data.validation(CPU) or (), data.test(CPU))
    )
    found = screening().baselines(data)
    both = [*x, *x_more], [*y, *y_more]
    for rows, name in (((x, y), "logistic regression"), (both, "logistic regression, more rows")):
        method = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
        accuracy = float(method.fit(*rows).score(x_test, y_test))
        assert found[name]["test/accuracy"] == pytest.approx(accuracy)
    assert found["logistic regression"]["test/recall"] > 0.8


def test_file_has_the_threshold_and_the_class() -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    data = table()
    torch.manual_seed(0)
    model = Screening(data.spec, encoder=partial(MLP, hidden=[2]), positive="malignant").eval()
    model.threshold.fill_(0.125)
    notes = model.export(Path("screening.onnx"))
    assert "malignant where its probability, the softmax of the logits, is at least 0.125" in notes[-1]
    told = {one.key: json.loads(one.value) for one in onnx.load("screening.onnx").metadata_props}
    assert (told["positive"], told["threshold"]) == ("malignant", 0.125)
    assert told["classes"] == ["malignant", "benign"]
    assert len(told["features"]) == 30
    assert told["features"][0] == "mean radius"


def test_what_cannot_be_screened_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"to find and must be one of malignant, benign, .*mean 'malignant'"):
        Screening(SPEC, encoder=MLP, positive="malignat")
    with pytest.raises(ConfigError, match="needs validation examples of malignant for its threshold, received none"):
        screening().adapt(table(val_size=0.0))
    tokens = DataSpec(InputSpec((5,), "int64", vocab=3), SPEC.target)
    with pytest.raises(ConfigError, match=r"model\.scale is for vectors .* but the input is int64"):
        Screening(tokens, encoder=MLP, positive="benign", scale=True)
