from __future__ import annotations

import copy
import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lab
from lab.configuration import load
from lab.encoders import MLP, Conv, ConvStage, InputSpec, Pretrained, Recurrent
from lab.encoders.files import load_encoder, plain_state, save_encoder
from lab.encoders.networks.recurrent import Cell
from lab.errors import CheckpointError, ConfigError
from lab.nn.pooling import SequencePool, pool_sequence

CELLS: list[Cell] = ["rnn", "lstm", "gru"]
STEPS: list[tuple[InputSpec, dict[str, Any]]] = [
    (InputSpec((3,)), {}),
    (InputSpec((3,)), {"trunk": partial(MLP, hidden=[5])}),
    (InputSpec((2, 8, 8)), {"trunk": partial(Conv, stages=[ConvStage(4, stride=4)])}),
    (InputSpec((), "int64", vocab=7), {"embedding": 5}),
    (InputSpec((), "int64", vocab=7), {"embedding": 5, "trunk": partial(MLP, hidden=[5])}),
]


def inputs(spec: InputSpec, *leading: int) -> Tensor:
    if spec.dtype == "int64":
        return torch.randint(spec.vocab or 0, (*leading, *spec.shape))
    return torch.randn(*leading, *spec.shape)


def one_by_one(encoder: Recurrent, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, Any]:
    outputs = []
    for t in range(len(x)):
        output, state = encoder.step(x[t], state, start[t])
        outputs.append(output)
    return torch.stack(outputs), state


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("spec", "settings"), STEPS)
def test_unroll_equals_single_steps(cell: Cell, layers: int, spec: InputSpec, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    encoder = Recurrent(spec, cell=cell, width=6, layers=layers, **settings)
    x, start = inputs(spec, 12, 4), torch.rand(12, 4) < 0.15
    assert start[1:].any()
    state = tuple(torch.randn_like(s).requires_grad_() for s in encoder.initial_state(4))
    assert all(s.shape == (4, layers, 6) for s in state)
    results = []
    for way, begins in ((encoder.unroll, start), (partial(one_by_one, encoder), start.float())):
        outputs, after = way(x, state, begins)
        loss = sum((s * s).sum() for s in (outputs, *after))
        gradients = torch.autograd.grad(loss, [*state, *encoder.parameters()])
        results.append([outputs, *after, *gradients])
    assert outputs.shape == (12, 4, encoder.features_dim)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("spec", "settings"), STEPS)
def test_sequence_equals_its_steps(cell: Cell, spec: InputSpec, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    whole = Recurrent(InputSpec((9, *spec.shape), spec.dtype, spec.vocab), cell=cell, width=6, **settings)
    single = Recurrent(spec, cell=cell, width=6, **settings)
    single.load_state_dict(whole.state_dict())
    x = inputs(spec, 4, 9)
    features, state = single.unroll(x.transpose(0, 1), single.initial_state(4), torch.zeros(9, 4))
    torch.testing.assert_close(whole.features(x), features.transpose(0, 1))
    torch.testing.assert_close(whole(x), features[-1])
    torch.testing.assert_close(whole(x), state[0][:, -1])
    torch.testing.assert_close(single(x[:, 0]), features[0])
    assert single.features(x[:, 0]).shape == (4, 1, 6)
    assert whole(x[:, :5]).shape == (4, whole.features_dim)
    whole(x).sum().backward()
    assert all(p.grad is not None for p in whole.parameters())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("spec", "settings"), STEPS)
def test_extending_equals_the_whole_sequence(cell: Cell, spec: InputSpec, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    whole = Recurrent(InputSpec((9, *spec.shape), spec.dtype, spec.vocab), cell=cell, width=6, layers=2, **settings)
    x, past = inputs(spec, 4, 9), None
    parts = []
    for part in torch.split(x, [4, 1, 1, 3], 1):
        features, past = whole.extend(part, past)
        parts.append(features)
    torch.testing.assert_close(torch.cat(parts, 1), whole.features(x))
    with pytest.raises(ConfigError, match="one of single steps has `step`"):
        Recurrent(spec, cell=cell, width=6, **settings).extend(x)


@pytest.mark.parametrize("cell", CELLS)
def test_starts_cut_memory_and_gradient(cell: Cell) -> None:
    torch.manual_seed(0)
    encoder = Recurrent(InputSpec((3,)), cell=cell, width=6)
    x = torch.randn(8, 2, 3, requires_grad=True)
    start = torch.zeros(8, 2)
    start[5, 0] = 1
    features, _ = encoder.unroll(x, encoder.initial_state(2), start)
    (gradient,) = torch.autograd.grad(features[-1].square().sum(), x)
    reached = gradient.abs().sum(2) > 0
    assert reached[:, 0].tolist() == [False] * 5 + [True] * 3
    assert reached[:, 1].all()
    broken = tuple(torch.full_like(s, torch.nan) for s in encoder.initial_state(2))
    fresh, _ = encoder.step(x[5], broken, torch.tensor([True, True]))
    torch.testing.assert_close(fresh[0], features[5, 0])


@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_masked_pooling(how: SequencePool) -> None:
    torch.manual_seed(0)
    steps, lengths = torch.randn(4, 5, 3), [5, 3, 1, 0]
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    spoilt = steps.masked_fill(~mask.unsqueeze(2), torch.nan)
    pooled = pool_sequence(spoilt, mask, how)
    for row, length in enumerate(lengths[:-1]):
        torch.testing.assert_close(pooled[row], pool_sequence(steps[row : row + 1, :length], None, how)[0])
    assert torch.equal(pooled[-1], torch.zeros(3))
    plain = {"last": steps[:, -1], "mean": steps.sum(1) / 5, "max": steps.max(1).values}[how]
    torch.testing.assert_close(pool_sequence(steps, None, how), plain)
    torch.testing.assert_close(pool_sequence(steps, torch.ones(4, 5), how), plain)


def test_last_step_under_holes() -> None:
    steps = torch.arange(8.0).view(2, 4, 1)
    mask = torch.tensor([[True, False, True, False], [False, True, False, False]])
    assert pool_sequence(steps, mask, "last").flatten().tolist() == [2, 5]


@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_padding_changes_no_features(how: SequencePool) -> None:
    torch.manual_seed(0)
    encoder = Recurrent(InputSpec((6,), "int64", vocab=9), width=8, pool=how)
    x, lengths = torch.randint(9, (3, 6)), [6, 4, 1]
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    for row, length in enumerate(lengths):
        torch.testing.assert_close(encoder(x, mask)[row], encoder(x[row : row + 1, :length])[0])


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_no_training(cell: Cell) -> None:
    """Neither gradients nor the statistics of a trunk's batch norms."""
    torch.manual_seed(0)
    trunk = partial(MLP, hidden=[5], batch_norm=True)
    padded = Recurrent(InputSpec((6, 3)), cell=cell, width=4, trunk=trunk).train()
    plain = copy.deepcopy(padded)
    x = torch.randn(2, 6, 3)
    mask = (torch.arange(6) < 4).expand(2, 6)
    padded(x.masked_fill(~mask[..., None], 1e3), mask).square().sum().backward()
    plain(x[:, :4]).square().sum().backward()
    for one, other in zip(padded.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    for kept, expected in zip(padded.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(kept, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_see_both_sides(cell: Cell) -> None:
    """The first half of the features depends on no later step, the second half on no earlier one; padding has no
    influence, and the whole is what each direction has read to its end."""
    torch.manual_seed(0)
    encoder = Recurrent(InputSpec((7, 3)), cell=cell, width=5, layers=2, bidirectional=True)
    assert encoder.features_dim == 10
    x, mask = torch.randn(2, 7, 3, requires_grad=True), torch.arange(7) < torch.tensor([[7], [4]])
    outputs = encoder.features(x, mask)
    for half, others in ((outputs[0, 3, :5], slice(4, None)), (outputs[0, 3, 5:], slice(0, 3))):
        (seen,) = torch.autograd.grad(half.sum(), x, retain_graph=True)
        assert not seen[0, others].any()
        assert seen[0].any(1).sum() == 4
    alone = encoder.features(x[1:, :4])
    torch.testing.assert_close(outputs[1:, :4], alone)
    torch.testing.assert_close(encoder(x, mask)[1], torch.cat([alone[0, -1, :5], alone[0, 0, 5:]]))
    with pytest.raises(ConfigError, match="takes no single steps"):
        encoder.step(x[:, 0], encoder.initial_state(2), torch.ones(2))


def test_two_directions_need_sequences() -> None:
    with pytest.raises(ConfigError, match=r"needs whole sequences, but the input is one step, of shape \(3,\)"):
        Recurrent(InputSpec((3,)), bidirectional=True)


def test_single_steps_refuse_masks() -> None:
    with pytest.raises(ConfigError, match="Recurrent takes no mask"):
        Recurrent(InputSpec((3,)))(torch.rand(2, 3), torch.ones(2, 1))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_initial_weights(cell: Cell, layers: int) -> None:
    rnn = Recurrent(InputSpec((3,)), cell=cell, width=4, layers=layers).rnn
    for name, weight in rnn.named_parameters():
        if name.startswith("weight_hh"):
            for gate in torch.split(weight, 4):
                torch.testing.assert_close(gate @ gate.T, torch.eye(4))
        if name.startswith("bias"):
            expected = [0, 1, 0, 0] if cell == "lstm" and "ih" in name else [0] * (len(weight) // 4)
            assert weight.view(-1, 4).mean(1).tolist() == expected


@pytest.mark.parametrize("settings", [{"cell": "gru"}, {"cell": "lstm", "trunk": partial(MLP, hidden=[16])}])
def test_learns_to_remember(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    encoder = Recurrent(InputSpec((10,), "int64", vocab=2), width=16, embedding=8, **settings)
    head = nn.Linear(encoder.features_dim, 1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(150):
        x = torch.randint(2, (64, 10))
        loss = nn.functional.binary_cross_entropy_with_logits(head(encoder(x))[:, 0], x[:, 0].float())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    x = torch.randint(2, (512, 10))
    assert ((head(encoder(x))[:, 0] > 0) == x[:, 0].bool()).float().mean() > 0.99


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        (InputSpec((1, 8, 8)), {}, r"needs a trunk, such as Conv, for images of shape \(1, 8, 8\)"),
        (InputSpec((5, 1, 8, 8)), {}, r"needs a trunk, such as Conv, for images of shape \(1, 8, 8\)"),
        (InputSpec((2, 3), "int64", vocab=3), {}, r"the input is int64 of shape \(2, 3\)"),
        (InputSpec(()), {}, r"the input is float32 of shape \(\)"),
        (InputSpec((5,), "int64"), {}, "number of token ids"),
        (InputSpec((5,)), {"dropout": 0.1}, "received 0.1 for 1 layer"),
    ],
)
def test_impossible_settings(spec: InputSpec, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recurrent(spec, **settings)


def test_no_mirror() -> None:
    with pytest.raises(ConfigError, match="Recurrent has no mirrored decoder"):
        Recurrent(InputSpec((5, 3))).mirror(2)


@pytest.mark.parametrize(("spec", "settings"), STEPS)
def test_files_restore_the_encoder(spec: InputSpec, settings: dict[str, Any], tmp_path: Path) -> None:
    encoder = Recurrent(spec, cell="gru", layers=2, **settings)
    save_encoder(copy.deepcopy(encoder), tmp_path)
    loaded = load_encoder(tmp_path)
    assert isinstance(loaded, Recurrent)
    assert loaded.spec == spec
    x = inputs(spec, 3)
    assert torch.equal(loaded(x), encoder(x))
    save_encoder(loaded, tmp_path / "again")
    assert torch.equal(load_encoder(tmp_path / "again")(x), encoder(x))


@pytest.mark.parametrize("trunk", ["evil.Encoder", {"class_path": "evil.Encoder"}, {"class": "evil.Encoder"}, ["evil"]])
@pytest.mark.parametrize("inside", [0, 1])
def test_files_choose_no_imports(trunk: Any, inside: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('canary').touch()\n")
    outer = Recurrent(InputSpec((4,)), trunk=partial(Recurrent, trunk=MLP))
    save_encoder(outer, tmp_path)
    description = json.loads((tmp_path / "encoder.json").read_text())
    place = description["settings"]["trunk"] if inside else description
    place["settings"]["trunk"] = trunk
    (tmp_path / "encoder.json").write_text(json.dumps(description))
    with pytest.raises((ConfigError, CheckpointError)):
        load_encoder(tmp_path)
    assert not Path("canary").exists()


class Own(MLP):
    """A user's encoder, as it would be written outside the lab."""


class OwnRecurrent(Recurrent):
    """One that adds a setting and passes the others on."""

    def __init__(self, spec: InputSpec, *, scale: float = 1.0, **settings: Any) -> None:
        super().__init__(spec, **settings)
        self.scale = scale


def test_users_classes_are_loaded(tmp_path: Path) -> None:
    save_encoder(OwnRecurrent(InputSpec((4,)), scale=2.0, cell="gru", trunk=partial(Own, hidden=[3])), tmp_path)
    loaded = load_encoder(tmp_path)
    assert isinstance(loaded, OwnRecurrent), "an artifact that is signed as one's own may name any class"
    (tmp_path / "manifest.json").unlink()
    for classes, missing in (((OwnRecurrent,), "Own"), ((Own,), "OwnRecurrent")):
        with pytest.raises(ConfigError, match=rf"{missing}; pass that class"):
            load_encoder(tmp_path, classes=classes)
    loaded = load_encoder(tmp_path, classes=[Own, OwnRecurrent])
    assert isinstance(loaded, OwnRecurrent)
    assert isinstance(loaded.trunk, Own)
    assert (loaded.scale, loaded.cell, loaded.trunk.hidden) == (2.0, "gru", [3])


def test_config_names_the_trunk() -> None:
    words = ("=Recurrent", ".cell=gru", ".width=9", ".trunk=MLP", ".trunk.hidden=[7]")
    nested = {"class_path": "lab.encoders.MLP", "init_args": {"hidden": [7]}}
    settings = {"cell": "gru", "width": 9, "trunk": nested}
    whole = {"agent.encoder": {"class_path": "lab.encoders.Recurrent", "init_args": settings}}
    for overrides in ([f"--agent.encoder{word}" for word in words], whole):
        config: Any = load("ppo-cartpole", overrides).build()
        encoder = config.agent_factory.keywords["encoder"](InputSpec((4,)))
        assert isinstance(encoder, Recurrent)
        assert isinstance(encoder.trunk, MLP)
        assert (encoder.cell, encoder.features_dim, encoder.trunk.hidden) == ("gru", 9, [7])
    for word, message in ((".cell=gur", "gru"), (".trunk=MPL", "MPL"), (".trunk.hiden=[3]", r"trunk\.hiden")):
        with pytest.raises(ConfigError, match=message):
            load("ppo-cartpole", ["--agent.encoder=Recurrent", "--agent.encoder.trunk=MLP", f"--agent.encoder{word}"])


@pytest.mark.parametrize("freeze", [True, False])
def test_pretrained_trunk(freeze: bool, tmp_path: Path) -> None:
    source = MLP(InputSpec((4,)), hidden=[5], batch_norm=True)
    save_encoder(source, tmp_path / "source")
    trunk = Pretrained(str(tmp_path / "source"), freeze=freeze)
    encoder = Recurrent(InputSpec((4,)), trunk=trunk).train()
    assert encoder.pretrained
    assert isinstance(encoder.trunk, MLP)
    assert encoder.trunk.training is not freeze
    assert all(p.requires_grad is not freeze for p in encoder.trunk.parameters())
    assert plain_state(encoder.trunk).keys() == plain_state(source).keys()
    assert all(torch.equal(a, b) for a, b in zip(encoder.trunk.parameters(), source.parameters(), strict=True))


def test_run_outlives_its_source() -> None:
    source = lab.run("ppo-cartpole", runs_dir="runs", fast_dev_run=True)
    trunk = {
        "class_path": "Pretrained",
        "init_args": {"path": str(source.dir / "artifacts" / "encoder"), "freeze": True},
    }
    settings = {"agent.encoder": "Recurrent", "agent.encoder.width": 8, "agent.encoder.trunk": trunk}
    run = lab.run("ppo-cartpole", settings, runs_dir="runs", fast_dev_run=True)
    before, after = (plain_state(load_encoder(folder / "artifacts" / "encoder")) for folder in (source.dir, run.dir))
    assert all(torch.equal(value, after[f"trunk.{name}"]) for name, value in before.items())
    shutil.rmtree(source.dir)
    assert lab.evaluate(run.dir).metrics == run.metrics


def test_inputs_are_dropped_in_training() -> None:
    torch.manual_seed(0)
    encoder = Recurrent(InputSpec((5,), "int64", vocab=9), width=4, embedding=6, deviation=0.1, input_dropout=0.5)
    x = torch.randint(9, (3, 5))
    assert not torch.equal(encoder(x), encoder(x))
    encoder.eval()
    assert torch.equal(encoder(x), encoder(x))
    assert encoder.embedding is not None
    assert encoder.embedding.weight.std().item() == pytest.approx(0.1, rel=0.3)
