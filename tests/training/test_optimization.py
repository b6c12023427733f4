"""Optimizers have the right parameters, rates, weight decay, schedules and penalties."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from generative.gan.gan import GAN
from lab.data.spec import Classes, DataSpec, InputSpec, Values
from lab.encoders import MLP, Combined, Conv, ConvStage, Encoder, Recurrent, ResNet, TextConv, Transformer, ViT
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.training.checks import require_optimization
from lab.training.loop.unfreezing import Unfreezing
from lab.training.optimization import Optimization, ParameterGroup, Schedule, by_layer
from lab.training.restoring import misfit
from lab.training.settings import Length, TrainerSettings
from supervised.classifier import Classifier
from tests.training.models import Regression

ADAMW = partial(torch.optim.AdamW, lr=0.1, weight_decay=0.3)


@pytest.fixture
def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1))


def test_weight_decay_spares_biases_and_norms(net: nn.Sequential) -> None:
    ((optimizer, _),) = (
        Optimization(ADAMW, weight_decay_on="weights").build([ParameterGroup(net.parameters())], 10).values()
    )
    decayed, spared = optimizer.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in spared["params"]} == {1}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(net.parameters()))


def test_one_group_by_default(net: nn.Sequential) -> None:
    built = Optimization(ADAMW).build([ParameterGroup(net.parameters())], 10)
    assert [len(optimizer.param_groups) for optimizer, _ in built.values()] == [1]


def test_groups_have_their_rates(net: nn.Sequential) -> None:
    groups = [ParameterGroup(net[0].parameters(), rate=0.1), ParameterGroup(net[2].parameters(), decay=False)]
    ((optimizer, schedule),) = Optimization(ADAMW, Schedule(kind="linear")).build(groups, 10).values()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.1])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.05]), "the schedule scales both"


def test_groups_share_optimizers_by_name(net: nn.Sequential) -> None:
    groups = [
        ParameterGroup(net[0].parameters(), optimizer="a"),
        ParameterGroup(net[1].parameters(), optimizer="b"),
        ParameterGroup(net[2].parameters(), optimizer="a"),
    ]
    built = Optimization().build(groups, 10)
    assert list(built) == ["a", "b"]
    assert [len(optimizer.param_groups) for optimizer, _ in built.values()] == [2, 1]


def test_a_gan_has_two_optimizers() -> None:
    spec = DataSpec(InputSpec((1, 28, 28)), Classes(10))
    gan = GAN(spec, encoder=partial(Conv, stages=(ConvStage(4, stride=2),)))
    built = Optimization(ADAMW).build(gan.parameter_groups(), 10)
    assert list(built) == ["generator", "discriminator"]
    owned = [{id(p) for g in optimizer.param_groups for p in g["params"]} for optimizer, _ in built.values()]
    assert not owned[0] & owned[1]
    judge = {id(p) for p in gan.judge.parameters()} if gan.judge else set()
    assert owned[0] | owned[1] == {id(p) for p in gan.parameters()} - judge


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(), [1, 1, 1, 1, 1]),
        (Schedule(kind="linear"), [1, 0.75, 0.5, 0.25, 0]),
        (Schedule(kind="linear", final=0.2), [1, 0.8, 0.6, 0.4, 0.2]),
        (Schedule(kind="cosine"), [1, 0.853553, 0.5, 0.146447, 0]),
        (Schedule(kind="step", decay=0.1, steps=2), [1, 1, 0.1, 0.1, 0.1]),
    ],
)
def test_schedules_closed_form(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule.factor(step, 100) for step in (0, 25, 50, 75, 100)] == pytest.approx(expected, abs=1e-6)


def test_warmup_rises_without_jumps() -> None:
    factors = [Schedule(kind="cosine", warmup=0.2).factor(step, 100) for step in range(101)]
    assert factors[:20] == sorted(factors[:20])
    assert 0 < factors[0] < 0.06
    assert max(factors) == pytest.approx(1)
    assert max(abs(a - b) for a, b in pairwise(factors)) < 0.06


def test_penalties_closed_form() -> None:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, -4.0]]))
    weights = layer.requires_grad_(False)
    assert float(Optimization(l1=0.5).penalty(weights.parameters())) == pytest.approx(3.5)
    assert float(Optimization(l2=0.5).penalty(layer.parameters())) == pytest.approx(6.25)
    assert Optimization().penalty(layer.parameters()) == 0.0


IMAGES, VECTORS, WORDS = InputSpec((1, 16, 16)), InputSpec((6, 4)), InputSpec((6,), "int64", vocab=9)
SIDES: dict[str, EncoderFactory] = {"a": partial(MLP, hidden=[8, 8, 8]), "b": partial(MLP, hidden=[8])}


@pytest.mark.parametrize(
    ("encoder", "count"),
    [
        (MLP(VECTORS, hidden=[8, 8], layer_norm=True), 2),
        (Conv(IMAGES, norm="batch", hidden=[8]), 3),
        (ResNet(IMAGES, channels=[8, 16], blocks=2), 5),  # with the stem
        (ViT(IMAGES, width=8, layers=3, heads=2), 5),  # with patches and positions
        (Transformer(VECTORS, width=8, layers=2, heads=2), 4),
        (TextConv(WORDS, embedding=4, filters=2), 2),  # its widths are side by side
        (Recurrent(VECTORS, width=4, layers=11, bidirectional=True), 11),  # both directions
        (Recurrent(WORDS, width=4, embedding=4, trunk=partial(MLP, hidden=[4, 4])), 4),
        (Combined({"a": VECTORS, "b": VECTORS}, encoders=SIDES), 3),  # as many as the deepest has
    ],
)
def test_layers_are_all_of_an_encoder_in_order(encoder: Encoder, count: int) -> None:
    layers = encoder.layers_in_order()
    assert len(layers) == count
    together = [id(one) for layer in layers for one in layer]
    assert len(together) == len(set(together))
    assert set(together) == {id(one) for one in encoder.parameters()}
    assert id(layers[-1][0]) not in {id(one) for one in layers[0]}


def test_last_layers_of_parts_side_by_side_are_one() -> None:
    both = Combined({"a": VECTORS, "b": VECTORS}, encoders=SIDES)
    deep, flat = (part.layers_in_order() for part in both.parts)  # type: ignore[operator]
    last = both.layers_in_order()[-1]
    assert {id(one) for one in last} == {id(one) for one in (*deep[-1], *flat[-1])}
    recurrent = Recurrent(VECTORS, width=4, layers=2, bidirectional=True)
    names = {id(one): name for name, one in recurrent.named_parameters()}
    assert all(names[id(one)].endswith("_l1") for one in recurrent.layers_in_order()[1])
    assert {names[id(one)].partition(".")[0] for one in recurrent.layers_in_order()[1]} == {"rnn", "backward_rnn"}


def classifier() -> Classifier:
    return Classifier(DataSpec(VECTORS, Classes(3)), encoder=partial(MLP, hidden=[5, 5]))


def test_rates_fall_towards_the_input() -> None:
    model = classifier()
    settings = Optimization(ADAMW, layer_rate=0.5)
    (optimizer, _), *_ = model.optimizers_of(settings).values()
    rates = {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    first, second = model.encoder.layers_in_order()
    for layer, expected in ((first, 0.025), (second, 0.05), (model.head.parameters(), 0.1)):
        assert [rates[id(one)] for one in layer] == pytest.approx([expected] * 2)
    groups = by_layer([ParameterGroup(model.parameters(), rate=0.1)], model.encoder.layers_in_order(), 0.5)
    assert sorted(group.rate for group in groups) == pytest.approx([0.025, 0.05, 0.1])


@pytest.mark.parametrize("setting", ["layer_rate", "unfreeze_every"])
def test_layers_that_do_not_learn_are_refused(setting: str) -> None:
    model = classifier()
    model.encoder.requires_grad_(False)
    with pytest.raises(ConfigError, match=f"trainer.{setting} is for encoders that learn, and that of Classifier does"):
        require_optimization(TrainerSettings(max_epochs=1, **{setting: 2}), model)  # type: ignore[arg-type]


def test_layers_thaw_from_the_top() -> None:
    model = classifier()
    first, second = model.encoder.layers_in_order()
    _, bias = second
    bias.requires_grad_(False)  # as in a frozen encoder
    thaw = Unfreezing(2, model.encoder.layers_in_order())
    for epoch, learning in enumerate([0, 0, 1, 1, 3, 3]):
        thaw._let_learn(epoch)
        parts = [*first, *second]
        assert sum(one.requires_grad for one in parts) == learning
    assert not bias.requires_grad


class OwnOptimizer(Regression):
    """Builds its optimizer by itself."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_own_optimizers_take_no_other_settings() -> None:
    spec = DataSpec(VECTORS, Values((1,)))
    for model, sentence in (
        (Regression(spec), None),
        (OwnOptimizer(spec), "trainer.schedule.kind must stay as it was"),
    ):
        state = {"lightning": {"state_dict": model.state_dict()}, "should_stop": False}
        found = misfit(state, model, Length(10, 1, 10), 10, ["trainer.max_epochs", "trainer.schedule.kind"])
        assert (found and found.partition(":")[0]) == sentence
        assert misfit(state, model, Length(10, 1, 10), 10, ["trainer.max_epochs"]) is None
