"""Norms, activations and initial weights do what their papers say."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP, Conv
from lab.errors import ConfigError
from lab.nn.layers import Initialisation, dense, initialise, normalisation
from lab.nn.unet import UNet
from supervised.classifier import Classifier


def after(scheme: Initialisation, activation: str, layers: int = 12, width: int = 200) -> torch.Tensor:
    """Return what so many layers make of inputs of mean 0 and deviation 1, `(500, width)`."""
    torch.manual_seed(0)
    network = dense(width, [width] * layers, activation)  # type: ignore[arg-type]
    initialise(network, scheme)
    with torch.no_grad():
        return network(torch.randn(500, width))  # type: ignore[no-any-return]


def deep(scheme: Initialisation, activation: str) -> tuple[float, float]:
    """Return mean and deviation after these layers."""
    made = after(scheme, activation)
    return made.mean().item(), made.std().item()


def test_layer_norm_is_over_the_whole_example() -> None:
    x = torch.randn(3, 8, 4, 5) * 3 + 1
    (norm,) = normalisation("layer", 8)
    assert torch.allclose(norm(x), F.layer_norm(x, x.shape[1:]), atol=1e-5)
    encoder = MLP(InputSpec((6,)), hidden=[5, 4], layer_norm=True)
    assert [type(part) for part in encoder.layers] == [nn.Linear, nn.LayerNorm, nn.ReLU] * 2
    with pytest.raises(ConfigError, match="batch_norm or layer_norm, received both"):
        MLP(InputSpec((6,)), batch_norm=True, layer_norm=True)


def test_each_example_is_normed_by_itself() -> None:
    x = torch.randn(4, 1, 8, 8)
    for norm, alone in (("layer", True), ("group", True), ("batch", False)):
        encoder = Conv(InputSpec((1, 8, 8)), norm=norm)  # type: ignore[arg-type]
        assert torch.allclose(encoder(x)[:1], encoder(x[:1]), atol=1e-4) is alone


def test_selu_keeps_mean_and_deviation() -> None:
    assert deep("lecun", "selu") == pytest.approx((0, 1), abs=0.1)
    assert abs(deep("lecun", "elu")[1] - 1) > 0.3


def test_kaiming_keeps_the_signal_of_relu() -> None:
    mean, deviation = deep("kaiming", "relu")
    assert 0.5 < mean**2 + deviation**2 < 2
    assert deep("xavier", "relu")[1] < 0.05, "half of it is lost at each layer"
    assert after("default", "relu").std(0).max() < 0.001, "only the biases are left, which are the same for all inputs"


def test_orthogonal_weights_keep_lengths() -> None:
    network = nn.Sequential(*(nn.Linear(32, 32) for _ in range(20)))
    initialise(network, "orthogonal")
    x = torch.randn(10, 32)
    assert torch.allclose(network(x).norm(dim=1), x.norm(dim=1), rtol=1e-4)


def test_pretrained_and_silent_layers_are_spared() -> None:
    model = Classifier(DataSpec(InputSpec((6,)), Classes(2)), encoder=partial(MLP, hidden=[4]))
    model.encoder.pretrained = True
    before = {name: value.clone() for name, value in model.state_dict().items()}
    initialise(model, "xavier")
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}
    network = UNet(1, 1, channels=(8,))
    initialise(network, "kaiming")
    assert not network(torch.rand(1, 1, 8, 8)).any(), "a U-Net begins at 0"
