"""What a user's own encoder owes to the lab is asked of it when it is built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lab
from lab.configuration import load
from lab.encoders import Encoder, InputSpec, Recurrent, RecurrentEncoder
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError

SPEC = InputSpec((6,))
OFFLINE: dict[str, dict[str, Any]] = {"agent": {}, "model": {"data.name": "digits"}}


class Sound(Encoder):
    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        self.features_dim = 4
        self.net = nn.Sequential(nn.Linear(spec.size, 4), nn.BatchNorm1d(4), nn.Dropout())

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self(x)  # type: ignore[no-any-return]


class NoSpec(Sound):
    def __init__(self, spec: InputSpec) -> None:
        nn.Module.__init__(self)


class NoWidth(Sound):
    def __init__(self, spec: InputSpec) -> None:
        Encoder.__init__(self, spec)


class WrongWidth(Sound):
    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        self.features_dim = 5


class Double(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.net(x).double()  # type: ignore[no-any-return]


class TwoThings(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Any:
        return self.net(x), x


class InPlace(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.net(x.relu_())  # type: ignore[no-any-return]


class Failing(Sound):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.net(x.unflatten(1, (4, 2)))  # type: ignore[no-any-return, no-untyped-call]


class Unfinished(Encoder):
    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x


class Duck(Sound):
    def unroll(self, x: Tensor, state: Any, start: Tensor) -> Any:
        return self(x.flatten(0, 1)).unflatten(0, x.shape[:2]), state


class Restarting(Recurrent):
    """Its `unroll` begins anew at every step."""

    def unroll(self, x: Tensor, state: Any, start: Tensor) -> Any:
        return super().unroll(x, state, torch.ones_like(start))


class LastStep(Recurrent):
    def unroll(self, x: Tensor, state: Any, start: Tensor) -> Any:
        features, state = super().unroll(x, state, start)
        return features[-1], state


class NoStep(RecurrentEncoder):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x

    features = forward


BROKEN: list[tuple[Any, str]] = [
    (NoSpec, "has no spec: its constructor must begin with super"),
    (NoWidth, "has no features_dim: its constructor must set it"),
    (WrongWidth, r"must return float32 of shape \(1, 5\) .* received torch.float32 of shape \(1, 4\)"),
    (Double, r"must return float32 of shape \(1, 4\) .* received torch.float64 of shape \(1, 4\)"),
    (TwoThings, r"must return float32 of shape \(1, 4\) .* received a tuple"),
    (InPlace, "changes its input"),
    (Failing, r"fails on one example of shape \(6,\) at line \d+ of .*test_building.py: RuntimeError"),
    (Unfinished, "lacks the methods forward"),
    (Duck, "has `unroll`, so it must be a lab.encoders.RecurrentEncoder"),
    (NoStep, "lacks the methods initial_state, step, unroll"),
    (Restarting, "must return from `unroll` what `step` returns one by one"),
    (LastStep, r"must return .* from `unroll`, of shape \(2, 1, 128\) .* received torch.float32 of shape \(1, 128\)"),
]


@pytest.mark.parametrize("within", [lambda cls: cls, lambda cls: lambda spec: Recurrent(spec, trunk=cls)])
@pytest.mark.parametrize(("cls", "sentence"), BROKEN)
def test_broken_contract_is_one_sentence(cls: type[Encoder], sentence: str, within: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigError, match=f"the encoder {cls.__name__} {sentence}"):
        build_encoder(within(cls), SPEC)


def test_example_changes_nothing() -> None:
    torch.manual_seed(0)
    expected, after = Sound(SPEC), torch.rand(3)
    torch.manual_seed(0)
    built = build_encoder(Sound, SPEC)
    assert torch.equal(torch.rand(3), after)
    assert built.training
    assert all(map(torch.equal, built.state_dict().values(), expected.state_dict().values()))


@pytest.mark.parametrize("spec", [InputSpec((7,), dtype="int64", vocab=3), InputSpec((7, 2))])
def test_sequences_are_tried(spec: InputSpec) -> None:
    assert build_encoder(Recurrent, spec).features_dim == Recurrent(spec).features_dim


class Forgetful(Recurrent):
    """Takes masks, and does not look at them."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x)


class Fixed(Recurrent):
    """Takes sequences of one length alone."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x.view(1, *self.spec.shape), mask)


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (Forgetful, "must leave out the steps where its mask is false: .* differ by"),
        (Fixed, r"fails on one example of shape \(7, 2\)"),
    ],
)
def test_masks_are_tried(cls: type[Encoder], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"the encoder {cls.__name__} {sentence}"):
        build_encoder(cls, InputSpec((7, 2)))


def test_other_objects_are_refused() -> None:
    factory: Any = lambda spec: nn.Linear(2, 2)  # noqa: E731
    with pytest.raises(ConfigError, match=r"must be a lab\.encoders\.Encoder, received a Linear"):
        build_encoder(factory, SPEC)


FUNCTION = "lab.encoders.contract.build_encoder"


@pytest.mark.parametrize(
    "words",
    [
        [f"--model.encoder={FUNCTION}"],
        ["--model.encoder=torch.nn.functional.relu"],
        ["--model.encoder=Recurrent", f"--model.encoder.trunk={FUNCTION}"],
    ],
)
def test_functions_are_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^model\.encoder(\.trunk)? must name a class, received the function"):
        load("cnn-mnist", words)


def test_functions_in_a_file_are_refused(tmp_path: Path) -> None:
    text = f"extends: cnn-mnist\nmodel: {{init_args: {{encoder: {{class_path: {FUNCTION}}}}}}}\n"
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"^model\.encoder must name a class, received the function"):
        load(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("name", ["ppo-cartpole", "dqn-cartpole", "vae-mnist", "gan-mnist", "cnn-mnist"])
def test_every_family_checks_before_writing(name: str, tmp_path: Path) -> None:
    place = "agent" if name.endswith("cartpole") else "model"
    with pytest.raises(ConfigError, match="the encoder NoWidth has no features_dim"):
        lab.run(
            name,
            {f"{place}.encoder": "tests.encoders.test_building.NoWidth", **OFFLINE[place]},
            runs_dir=tmp_path / "runs",
        )
    assert not (tmp_path / "runs").exists()
