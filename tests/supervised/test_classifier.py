"""The classifier learns, and its metrics, baselines and predictions are right."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import lab
from lab.data import Images, Table
from lab.data.batch import Batch
from lab.data.loader import plain_batches
from lab.data.spec import Classes, DataSpec
from lab.encoders import MLP, InputSpec
from lab.errors import ConfigError
from supervised.classifier import Classifier

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
SMALL = [{"channels": 8, "max_pool": 2}, {"channels": 16, "max_pool": 2}]
CPU = torch.device("cpu")


def classifier(classes: Classes | None = None) -> Classifier:
    return Classifier(DataSpec(InputSpec((3,)), classes or Classes(4)), encoder=partial(MLP, hidden=[5]))


def test_classifier_learns_digits() -> None:
    run = lab.run("cnn-mnist", DIGITS | {"trainer.max_epochs": 6, "model.encoder.stages": SMALL}, runs_dir="runs")
    assert (run.metrics["test/accuracy"] or 0) > 0.9
    names = {path.name.rsplit("-", 1)[0] for path in (run.dir / "media").iterdir()}
    assert names == {"confusion_matrix", "mistakes", "saliency", "filters"}


def test_metrics_are_over_all_examples() -> None:
    """Macro recall is not a mean over batches: a class may be missing in one of them."""
    torch.manual_seed(0)
    model = classifier().eval()
    x, labels = torch.randn(50, 3), torch.randint(4, (50,))
    metrics = model.metrics()
    for part in (slice(0, 33), slice(33, 50)):
        model.measure(Batch(x[part], labels[part]), metrics)
    predicted = model(x).argmax(1)
    recalls = [float((predicted[labels == c] == c).float().mean()) for c in range(4)]
    assert float(metrics["accuracy"].compute()) == pytest.approx(float((predicted == labels).float().mean()))
    assert float(metrics["recall"].compute()) == pytest.approx(sum(recalls) / 4)


@pytest.mark.parametrize("setting", [{"label_smoothing": 0.2}, {"focal": 2.0}])
def test_losses_for_training_are_not_for_validation(setting: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = Classifier(DataSpec(InputSpec((3,)), Classes(4)), encoder=partial(MLP, hidden=[5]), **setting)
    batch = Batch(torch.randn(50, 3), torch.randint(4, (50,)))
    log_p = model(batch.inputs).log_softmax(1)
    true = log_p[torch.arange(50), batch.targets]
    cross_entropy = -true.mean()
    smooth = 0.8 * cross_entropy - 0.2 * log_p.mean()
    focal = -((1 - true.exp()).square() * true).mean()
    expected = smooth if "label_smoothing" in setting else focal
    assert model.losses(batch)["loss"].item() == pytest.approx(expected.item(), abs=1e-6)
    assert model.eval().measure(batch, {})["loss"].item() == pytest.approx(cross_entropy.item(), abs=1e-6)


def test_two_losses_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose one"):
        Classifier(DataSpec(InputSpec((3,)), Classes(4)), encoder=MLP, label_smoothing=0.1, focal=2.0)


def test_baselines_are_those_of_scikit_learn() -> None:
    data = Images(name="digits", batch_size=32)
    data.prepare()
    model = Classifier(data.spec, encoder=partial(MLP, hidden=[4]))
    found = model.baselines(data)
    assert list(found) == ["most frequent class", "nearest centroid", "ridge regression"]
    (x, y), (x_test, y_test) = (
        tuple(torch.cat(parts).flatten(1).numpy() for parts in zip(*((x, y[:, None]) for x, y in split), strict=True))
        for split in (plain_batches(data, CPU, 0), data.test(CPU))
    )
    y, y_test = y[:, 0], y_test[:, 0]
    accuracy = float(RidgeClassifier().fit(x, y).score(x_test, y_test))
    assert found["ridge regression"]["test/accuracy"] == pytest.approx(accuracy)
    most = max((y == c).sum() for c in range(10)) / len(y)
    assert found["most frequent class"]["test/accuracy"] < 2 * most


def test_small_data_have_stronger_baselines() -> None:
    """Those that would take minutes of more data. Where the model scales the columns, so do they."""
    data = Table(name="cancer")
    data.prepare()
    (x, y), (x_test, y_test) = (
        tuple(torch.cat(parts).numpy() for parts in zip(*split, strict=True))
        for split in (data.train(CPU, 0), data.test(CPU))
    )
    model = Classifier(data.spec, encoder=partial(MLP, hidden=[4]), scale=True)
    accuracy = float(make_pipeline(StandardScaler(), SVC(C=10)).fit(x, y).score(x_test, y_test))
    assert model.baselines(data)["support vector machine"]["test/accuracy"] == pytest.approx(accuracy)


def test_predictions_name_the_class() -> None:
    model = classifier(Classes(4, ("cat", "dog", "eel", "fox")))
    x = torch.randn(6, 3)
    probabilities = model.eval()(x).softmax(1).detach()
    for prediction, row in zip(model.predict(x), probabilities, strict=True):
        assert prediction.label == ("cat", "dog", "eel", "fox")[int(row.argmax())]
        assert prediction.probability == pytest.approx(float(row.max()))
    assert classifier().predict(x)[0].label in {"0", "1", "2", "3"}


def test_the_encoder_has_its_own_rate() -> None:
    spec = DataSpec(InputSpec((3,)), Classes(4))
    model = Classifier(spec, encoder=partial(MLP, hidden=[5]), encoder_rate=0.1)
    encoder, head = model.parameter_groups()
    assert (encoder.rate, head.rate) == (0.1, 1.0)
    assert {id(p) for p in encoder.parameters} == {id(p) for p in model.encoder.parameters()}
    assert {id(p) for p in head.parameters} == {id(p) for p in model.head.parameters()}
