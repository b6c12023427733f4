from __future__ import annotations

import copy
import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.encoders import MLP, ByShape, Combined, Conv, ConvStage, Encoder, Inception, InputSpec, Recurrent, ResNet
from lab.encoders.files import load_encoder, plain_state, save_encoder
from lab.errors import CheckpointError, ConfigError
from lab.nn.layers import ACTIVATIONS

LENET: dict[str, Any] = {
    "stages": [ConvStage(6, kernel=5, max_pool=2), ConvStage(16, kernel=5, max_pool=2)],
    "hidden": [120, 84],
    "activation": "tanh",
}
VGG: dict[str, Any] = {"stages": [ConvStage(8, repeat=2, max_pool=2), ConvStage(16, repeat=3, max_pool=2)]}
ALEXNET: dict[str, Any] = {"stages": [ConvStage(8, kernel=11, stride=4), ConvStage(8, kernel=5)], "dropout": 0.5}
CASES: list[tuple[type[Encoder], dict[str, Any]]] = [
    (MLP, {}),
    (MLP, {"hidden": [8], "batch_norm": True, "dropout": 0.1}),
    (MLP, {"hidden": []}),
    (MLP, {"hidden": [8, 8, 8], "residual": True, "activation": "tanh"}),
    (Conv, {}),
    (Conv, LENET),
    (Conv, VGG),
    (Conv, ALEXNET),
    (Conv, {"norm": "batch", "pool": "mean", "activation": "silu"}),
    (Conv, {"norm": "group", "pool": "max"}),
    (Conv, {"stages": [ConvStage(8, kernel=4, stride=2, padding=0), ConvStage(8, padding=0, repeat=2)]}),
    (ResNet, {"channels": [8, 16]}),
    (ResNet, {"channels": [8], "blocks": 1, "pool": "flatten", "norm": "none"}),
    (ResNet, {"channels": [8, 16], "blocks": 1, "stem_stride": 2}),
    (Inception, {"channels": [16, 32], "stem": 8, "blocks": 1}),
    (Inception, {"channels": [16], "stem_stride": 2, "pool": "flatten", "norm": "none"}),
    (Recurrent, {"cell": "rnn", "trunk": partial(MLP, hidden=[8])}),
    (Recurrent, {"cell": "gru", "width": 8, "trunk": partial(Conv, norm="batch", stages=[ConvStage(4, stride=4)])}),
    (Recurrent, {"layers": 2, "dropout": 0.1, "trunk": partial(Recurrent, trunk=partial(ResNet, channels=[8]))}),
]
SHAPES = [(1, 28, 28), (3, 33, 47), (1, 64, 64)]


@pytest.mark.parametrize(("cls", "settings"), CASES)
@pytest.mark.parametrize("shape", SHAPES)
def test_contract(cls: type[Encoder], settings: dict[str, Any], shape: tuple[int, ...]) -> None:
    encoder = cls(InputSpec(shape), **settings)
    x = torch.rand(3, *shape)
    vector = encoder(x)
    assert vector.shape == (3, encoder.features_dim)
    assert vector.dtype == torch.float32
    assert encoder.features(x).shape[0] == 3
    if type(encoder).mirror is not Encoder.mirror:
        logits = encoder.mirror(7)(torch.randn(3, 7))
        assert logits.shape == x.shape
    if isinstance(encoder, Conv | ResNet | Inception):
        maps = encoder.stages(x)
        assert [tuple(m.shape[1:]) for m in maps] == encoder.shapes[1:]
        assert encoder.features(x).shape == maps[-1].shape
    if parameters := list(encoder.parameters()):
        vector.sum().backward()
        assert all(p.grad is not None for p in parameters)


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "gelu", "silu", "leaky_relu"])
def test_activations_by_name(name: Any) -> None:
    encoder = MLP(InputSpec((4,)), hidden=[5], activation=name)
    x = torch.randn(2, 4)
    linear = encoder.layers[0]
    assert torch.equal(encoder(x), ACTIVATIONS[name]()(linear(x)))


@pytest.mark.parametrize(("cls", "settings"), CASES)
def test_files_restore_the_encoder(cls: type[Encoder], settings: dict[str, Any], tmp_path: Path) -> None:
    encoder = cls(InputSpec((1, 28, 28)), **settings).eval()
    save_encoder(encoder, tmp_path / "encoder")
    loaded = load_encoder(tmp_path / "encoder")
    x = torch.rand(2, 1, 28, 28)
    assert type(loaded) is type(encoder)
    assert torch.equal(loaded(x), encoder(x))


def test_spectral_norm_is_folded_in(tmp_path: Path) -> None:
    encoder = Conv(InputSpec((1, 28, 28)))
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            spectral_norm(module)
    before = copy.deepcopy(encoder.state_dict())
    save_encoder(encoder, tmp_path / "encoder")
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    plain = load_encoder(tmp_path / "encoder")
    assert not any("parametrizations" in name for name in plain.state_dict())
    x = torch.rand(2, 1, 28, 28)
    assert torch.allclose(plain(x), encoder.eval()(x), atol=1e-6)


class _Payload:
    def __reduce__(self) -> Any:
        return (Path("canary").touch, ())


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json"])
def test_opening_runs_no_code(name: str, tmp_path: Path) -> None:
    save_encoder(MLP(InputSpec((4,))), tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(_Payload()))
    with pytest.raises(CheckpointError, match="differs from its hash"):
        load_encoder(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="no encoder can be loaded"):
        load_encoder(tmp_path)
    assert not Path("canary").exists()


def test_files_choose_no_imports(tmp_path: Path) -> None:
    save_encoder(MLP(InputSpec((4,))), tmp_path)
    description = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "manifest.json").unlink()
    for name in ("os.system", "lab.encoders.networks.mlp.MPL"):
        (tmp_path / "encoder.json").write_text(json.dumps(description | {"class": name}))
        with pytest.raises(ConfigError, match="pass that class"):
            load_encoder(tmp_path)


class Own(MLP):
    """A user's encoder, as it would be written outside the lab."""


def test_users_class_is_loaded(tmp_path: Path) -> None:
    encoder = Own(InputSpec((4,)), hidden=[3])
    save_encoder(encoder, tmp_path)
    loaded = load_encoder(tmp_path, classes=[Own])
    assert type(loaded) is Own
    assert plain_state(loaded).keys() == plain_state(encoder).keys()


@pytest.mark.parametrize(
    ("cls", "shape", "settings", "message"),
    [
        (Conv, (4,), {}, r"Conv needs images of shape \(C, H, W\)"),
        (Conv, (1, 8, 8), {"stages": []}, "at least one stage"),
        (Conv, (1, 8, 8), {"stages": [ConvStage(4, max_pool=4)] * 3}, "too many stages"),
        (Conv, (1, 8, 8), {"stages": [ConvStage(6)], "norm": "group"}, "divisible by its 8 groups, received 6"),
        (ResNet, (5,), {}, "ResNet needs images"),
        (MLP, (4,), {"hidden": [8, 4], "residual": True}, r"layers of one width .* received hidden \[8, 4\]"),
        (Inception, (1, 8, 8), {"channels": [12]}, r"multiples of 8, received \[12\]"),
    ],
)
def test_impossible_settings(
    cls: type[Encoder], shape: tuple[int, ...], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        cls(InputSpec(shape), **settings)


def test_missing_mirror_names_the_setting() -> None:
    class Bare(MLP):
        mirror = Encoder.mirror

    with pytest.raises(ConfigError, match=r"name one under model\.decoder"):
        Bare(InputSpec((4,))).mirror(2)


def test_by_shape_exports_its_network(tmp_path: Path) -> None:
    built = ByShape(image_hidden=[8])(InputSpec((1, 28, 28))).eval()
    save_encoder(built, tmp_path)
    assert json.loads((tmp_path / "encoder.json").read_text())["class"] == "lab.encoders.Conv"
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(load_encoder(tmp_path)(x), built(x))


@pytest.mark.parametrize("cls", [MLP, Conv, ResNet, Inception])
def test_masks_are_refused(cls: type[Encoder]) -> None:
    encoder = cls(InputSpec((1, 8, 8)))
    with pytest.raises(ConfigError, match=f"{cls.__name__} takes no mask"):
        encoder(torch.rand(2, 1, 8, 8), torch.ones(2, 1))


def test_by_shape_follows_the_input() -> None:
    vector, image = InputSpec((6,)), InputSpec((3, 84, 84))
    source = ByShape(hidden=[7], image_hidden=[9])
    assert type(source(vector)) is MLP
    camera = source(image)
    assert isinstance(camera, Conv)
    assert camera.shapes[-1] == (64, 7, 7), "as in Mnih et al. 2015"
    for side in (1, 35, 36):
        assert type(source(InputSpec((1, side, side)))) is Conv
    both = source({"speed": vector, "camera": image})
    assert isinstance(both, Combined)
    assert [type(part) for part in both.parts] == [Conv, MLP]
    assert both.features_dim == 16
