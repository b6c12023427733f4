from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lab.configuration import load
from lab.encoders import MLP, Combined, Conv, EncoderFactory, InputSpec, LogMel, Pretrained, Recurrent, ResNet
from lab.encoders.contract import build_encoder, built_anew
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import CheckpointError, ConfigError

# Keys that a ModuleDict refuses, that a description of one spec has too, and one with a dot.
SPEC = {
    "type": InputSpec((3,)),
    "camera": InputSpec((1, 8, 8)),
    "shape": InputSpec((5, 2)),
    "word.id": InputSpec((4,), "int64", vocab=6),
}
ENCODERS: dict[str, EncoderFactory] = {
    "camera": partial(Conv, hidden=[7]),
    "word.id": partial(Recurrent, width=6),
    "shape": partial(Recurrent, cell="gru", width=5, trunk=partial(MLP, hidden=[4])),
}


def batch(size: int) -> dict[str, Tensor]:
    x = {key: torch.rand(size, *spec.shape) for key, spec in SPEC.items()}
    return x | {"word.id": torch.randint(6, (size, 4))}


def test_features_in_order_of_keys() -> None:
    encoder = Combined(SPEC, encoders=ENCODERS, default=partial(MLP, hidden=[2]))
    x = batch(3)
    vector = encoder(x)
    assert encoder.features_dim == 7 + 5 + 2 + 6
    parts = dict(zip(sorted(SPEC), encoder.parts, strict=True))
    expected = [parts[key](x[key]) for key in ("camera", "shape", "type", "word.id")]
    assert torch.equal(vector, torch.cat(expected, 1))
    assert torch.equal(encoder.features(x), vector)
    assert torch.equal(encoder(dict(reversed(x.items()))), vector)
    vector.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    assert (vector.dtype, vector.shape) == (torch.float32, (3, encoder.features_dim))
    with pytest.raises(ConfigError, match="Combined has no mirrored decoder"):
        encoder.mirror(2)


def test_parts_are_built_anew() -> None:
    encoder = Combined(SPEC, encoders=ENCODERS, default=partial(MLP, hidden=[2]))
    fresh = built_anew(encoder)
    before, after = encoder.state_dict(), fresh.state_dict()
    assert {name: one.shape for name, one in after.items()} == {name: one.shape for name, one in before.items()}
    assert not any(torch.equal(after[name], one) for name, one in before.items() if one.ndim > 1)
    assert fresh(batch(2)).shape == encoder(batch(2)).shape
    sound = LogMel(InputSpec((1_000,), sample_rate=8_000), encoder=partial(Recurrent, width=3))
    assert isinstance(built_anew(sound).encoder, Recurrent)
    assert built_anew(sound).encoder is not sound.encoder


def test_masks_reach_their_parts() -> None:
    spec = {"words": InputSpec((6,), "int64", vocab=9), "speed": InputSpec((2,)), "series": InputSpec((4, 3))}
    encoder = build_encoder(
        partial(Combined, default=MLP, encoders=dict.fromkeys(("words", "series"), Recurrent)), spec
    )
    assert encoder.takes_masks
    x = {"words": torch.randint(9, (3, 6)), "speed": torch.rand(3, 2), "series": torch.rand(3, 4, 3)}
    mask = {"words": torch.arange(6).expand(3, 6) < 4}
    short = x | {"words": x["words"][:, :4]}
    torch.testing.assert_close(encoder(x, mask), encoder(short))
    assert not torch.allclose(encoder(x), encoder(short))


def test_part_without_masks() -> None:
    spec = {"series": InputSpec((4, 3)), "speed": InputSpec((2,))}
    assert not Combined(spec, default=MLP).takes_masks


def test_missing_and_unknown_parts() -> None:
    encoder = Combined(SPEC, encoders=ENCODERS, default=MLP)
    names = r"\['camera', 'shape', 'type', 'word.id'\]"
    x = batch(2)
    with pytest.raises(ConfigError, match=rf"the input has the parts \['camera', 'shape', 'type'\], expected {names}"):
        encoder({key: value for key, value in x.items() if key != "word.id"})
    with pytest.raises(ConfigError, match=rf"'lidar'.*expected {names}"):
        encoder(x | {"lidar": x["type"]})
    with pytest.raises(
        ConfigError, match=rf"encoders for the parts \['camera', 'shape', 'word.id'\], expected {names}"
    ):
        Combined(SPEC, encoders=ENCODERS)
    with pytest.raises(ConfigError, match=rf"'lidar'.*expected {names}"):
        Combined(SPEC, encoders=ENCODERS | {"lidar": MLP}, default=MLP)
    with pytest.raises(ConfigError, match=r"there is one, of shape \(4,\)"):
        Combined(InputSpec((4,)), default=MLP)  # type: ignore[arg-type]


def test_files_restore_the_encoder(tmp_path: Path) -> None:
    encoder = Combined(SPEC, encoders=ENCODERS, default=partial(MLP, hidden=[2]))
    save_encoder(encoder, tmp_path)
    loaded = load_encoder(tmp_path)
    assert isinstance(loaded, Combined)
    assert loaded.spec == SPEC
    x = batch(2)
    assert torch.equal(loaded(x), encoder(x))
    save_encoder(loaded, tmp_path / "again")
    assert torch.equal(load_encoder(tmp_path / "again")(x), encoder(x))


@pytest.mark.parametrize("where", ["camera", "encoders", "default"])
@pytest.mark.parametrize("what", ["evil.Encoder", {"class_path": "evil.Encoder"}, {"class": "evil.Encoder"}])
def test_files_choose_no_imports(where: str, what: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('canary').touch()\n")
    save_encoder(Combined(SPEC, encoders=ENCODERS, default=MLP), tmp_path)
    description = json.loads((tmp_path / "encoder.json").read_text())
    settings = description["settings"]
    if where == "camera":
        settings["encoders"][where] = what
    else:
        settings[where] = what
        settings["encoders"].pop("type", None) if where == "default" else None
    (tmp_path / "encoder.json").write_text(json.dumps(description))
    with pytest.raises((ConfigError, CheckpointError)):
        load_encoder(tmp_path)
    assert not Path("canary").exists()


def test_pretrained_part(tmp_path: Path) -> None:
    source = ResNet(InputSpec((1, 8, 8)), channels=[4])
    save_encoder(source, tmp_path / "source")
    factory = Pretrained(str(tmp_path / "source"), freeze=True)
    encoder = Combined(SPEC, encoders=ENCODERS | {"camera": factory}, default=MLP)
    assert encoder.pretrained
    camera = encoder.parts[0]
    assert all(torch.equal(a, b) for a, b in zip(camera.parameters(), source.parameters(), strict=True))
    save_encoder(encoder, tmp_path / "run")
    whole = Pretrained(str(tmp_path / "run"))(SPEC)
    assert torch.equal(whole.eval()(x := batch(2)), encoder.eval()(x))
    with pytest.raises(ConfigError, match=r"takes the parts camera, shape, type, word.id, received one input"):
        Pretrained(str(tmp_path / "run"))(InputSpec((4,)))


def test_config_names_the_parts() -> None:
    mlp = {"class_path": "lab.encoders.MLP", "init_args": {"hidden": [7]}}
    memory = {"class_path": "lab.encoders.Recurrent", "init_args": {"width": 3, "trunk": mlp}}
    words = ["--agent.encoder=Combined", f"--agent.encoder.encoders={json.dumps({'a': mlp, 'b': memory})}"]
    config: Any = load("ppo-cartpole", [*words, "--agent.encoder.default=MLP"]).build()
    factory = config.agent_factory.keywords["encoder"]
    encoder = factory({"a": InputSpec((4,)), "b": InputSpec((5,)), "c": InputSpec((2,))})
    assert isinstance(encoder, Combined)
    assert [type(part) for part in encoder.parts] == [MLP, Recurrent, MLP]
    assert encoder.features_dim == 7 + 3 + 64
    with pytest.raises(ConfigError, match="there is one, of shape"):
        factory(InputSpec((4,)))
