"""Points in the plane come from densities that are known, and what a classifier makes of the plane is drawn."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch.special import ndtr

from lab.data import Points
from lab.data.batch import Batch
from lab.data.generated.points import CENTRES, SHAPES, Mixture
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP
from lab.errors import ConfigError
from supervised.plane import PlaneClassifier

CPU = torch.device("cpu")


def prepared(name: str = "spirals", noise: float | None = None, test_size: int = 1_000) -> Points:
    data = Points(name=name, noise=noise, test_size=test_size, eval_batch_size=test_size)
    data.prepare()
    return data


def best(data: Points) -> float:
    """Share of the test points that the density of each class classifies correctly."""
    points, labels = next(iter(data.test(CPU)))
    return float((data.generator.log_densities(points).argmax(1) == labels).float().mean())


@pytest.mark.parametrize("name", SHAPES)
def test_best_guess_has_what_is_promised(name: str) -> None:
    assert 0.995 <= best(prepared(name, test_size=5_000)) < 0.9995


def test_best_guess_of_xor_is_the_closed_form() -> None:
    """It errs where the noise crosses one axis and not the other."""
    data = prepared("xor", noise=0.4, test_size=10_000)
    crossing = float(ndtr(torch.tensor(-0.5 / 0.4)))
    assert best(data) == pytest.approx(1 - 2 * crossing * (1 - crossing), abs=0.01)


def test_densities_are_those_of_normal_distributions() -> None:
    mixture = Mixture(torch.tensor([[[0.0, 0.0], [1.0, 0.0]], [[3.0, 4.0], [3.0, 4.0]]]), 0.5)
    origin = mixture.log_densities(torch.zeros(1, 2))[0]
    assert origin.tolist() == pytest.approx([math.log(1 + math.exp(-2)), math.log(2) - 50])


def test_centres_are_closer_than_the_noise() -> None:
    for name, shape in SHAPES.items():
        for centres in shape.centres():
            assert centres.norm(dim=1).max() < 2.1
            if len(centres) == CENTRES:
                assert (centres[1:] - centres[:-1]).norm(dim=1).max() < 0.5 * shape.noise, name


def test_points_are_the_same_in_every_run() -> None:
    first, again, moons = prepared(), prepared(), prepared("moons")
    assert first.info == again.info != moons.info
    (x, labels), (other, _) = next(iter(first.test(CPU))), next(iter(first.validation(CPU) or ()))
    assert not torch.equal(x[:100], other[:100])
    assert labels.float().mean() == 0.5


def classifier() -> PlaneClassifier:
    torch.manual_seed(0)
    spec = DataSpec(InputSpec((2,)), Classes(2, ("blue", "orange")))
    return PlaneClassifier(spec, encoder=partial(MLP, hidden=[]))


def test_boundary_is_drawn_where_it_is() -> None:
    """A model that tells left from right by the first coordinate makes one half blue and the other orange."""
    model = classifier().eval()
    model.head.weight.data = torch.tensor([[-9.0, 0.0], [9.0, 0.0]])
    model.head.bias.data.zero_()
    model.frame.copy_(torch.tensor([[-2.0, -2.0], [2.0, 2.0]]))
    none = Batch(torch.tensor([[-1.9, -1.9], [1.9, -1.9]]), torch.tensor([0, 1]))
    with torch.no_grad():
        drawn = model.pictures(none)["decision_boundary"]
    width, height = drawn.size
    pixels = np.asarray(drawn)[height // 2]
    left, right = pixels[width // 3].astype(int), pixels[width * 2 // 3].astype(int)
    assert left[2] > left[0] + 30, "blue"
    assert right[0] > right[2] + 30, "orange"


def test_bound_is_beyond_the_baselines() -> None:
    data, model = prepared(), classifier()
    model.adapt(data)
    (bound,), baselines = model.bounds(data).values(), model.baselines(data)
    assert bound["test/accuracy"] == pytest.approx(best(data))
    assert baselines["logistic regression"]["test/accuracy"] < 0.7
    assert 0.9 < baselines["support vector machine"]["test/accuracy"] < bound["test/accuracy"]


def test_frame_holds_the_training_points() -> None:
    data, model = prepared(), classifier()
    model.adapt(data)
    points = torch.cat([x for x, _ in data.train(CPU, 0)])
    assert ((points > model.frame[0]) & (points < model.frame[1])).all()
    assert "frame" in model.state_dict()


def test_other_data_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs points \(x, y\), .* received inputs of shape \(3,\)"):
        PlaneClassifier(DataSpec(InputSpec((3,)), Classes(2)), encoder=MLP)
    with pytest.raises(ConfigError, match=r"data\.name must be one of spirals, .* did you mean 'spirals'"):
        Points(name="spiral")
