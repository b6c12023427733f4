"""Gradient descent behind the seam is torch's own: `backward()`, `clip_grad_norm_`, `Adam.step()`, to the last bit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agents.acceleration.captured import PROOFS, Capture, Captured
from agents.acceleration.descent import Descent
from agents.acceleration.eager_adam import EagerAdam
from agents.compiled.packages import Packages
from agents.networks.extractor import scaled
from lab.errors import DivergedError
from tests.agents.acceleration.test_captured import NETS, pair_of_steps

CPU = torch.device("cpu")
WISHES: tuple[Capture, ...] = ("auto", "never")
wishes = pytest.mark.parametrize("capture", WISHES)


def descent(net: nn.Module, capture: Capture, *, max_norm: float = 0.1, **settings: Any) -> Descent:
    """Gradient descent on the mean of what a net returns, which is also its figure."""

    def loss(x: Tensor) -> Sequence[Tensor]:
        y = net(x)
        return y.mean(), y

    optimizer = torch.optim.Adam(net.parameters(), lr=0.05, fused=True)
    return Descent(loss, net, optimizer, max_norm=max_norm, device=CPU, capture=capture, **settings)


@pytest.mark.parametrize("name", NETS)
@wishes
def test_steps_equal_torch_bitwise(name: str, capture: Capture) -> None:
    torch.manual_seed(0)
    net = NETS[name]()
    ours, theirs = pair_of_steps(net, capture)
    for number in range(2 * PROOFS + 6):
        x, found = torch.randn(8, 4), []
        for step in (ours, theirs):
            torch.manual_seed(number)  # dropout draws the same
            found.append(step(x, 0.05 / (number + 1)))
        assert len(found[0]) == len(found[1])
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True)), number


def test_steps_are_repeated() -> None:
    net = NETS["relu"]()
    down = descent(net, "auto")
    for _ in range(3):
        down.renew()
        for _ in range(PROOFS + 3):
            down.backward(torch.randn(8, 4))
            down.step()
    assert down._compute.proven
    assert down._follow.proven


@wishes
@pytest.mark.parametrize("max_norm", [1e-3, 1e9])
def test_the_norm_is_clipped(capture: Capture, max_norm: float) -> None:
    net = NETS["relu"]()
    down = descent(net, capture, max_norm=max_norm)
    for _ in range(2):
        down.renew()
        for _ in range(PROOFS + 3):
            down.backward(torch.randn(8, 4))
            down.step()
            clipped = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in net.parameters()]))  # type: ignore[union-attr]
            assert clipped.item() == pytest.approx(min(down.norms[-1], max_norm), rel=1e-4)


@wishes
def test_channels_last_gradients(capture: Capture) -> None:
    """torch's fused Adam pairs numbers by their place in memory and is silently wrong for other layouts."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.LazyLinear(2))
    images = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    net(scaled(images))
    plain_net = copy.deepcopy(net)
    down, plain = descent(net, capture, max_norm=1e9), torch.optim.Adam(plain_net.parameters(), lr=0.05)
    for _ in range(2):
        down.renew()
        for _ in range(PROOFS + 3):
            down.backward(scaled(images))
            down.step()
            plain.zero_grad()
            plain_net(images / 255).mean().backward()
            plain.step()
    for one, other in zip(net.parameters(), plain_net.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@wishes
def test_a_frozen_weight_stays(capture: Capture) -> None:
    """Adam would move it by its momentum if it still had a gradient."""
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    down = descent(net, capture)
    for frozen in (False, True, False):
        net[0].requires_grad_(not frozen)
        before = [p.detach().clone() for p in net.parameters()]
        down.renew()
        for _ in range(PROOFS + 3):
            down.backward(torch.randn(8, 4))
            down.step()
        moved = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
        assert moved == [not frozen, not frozen, True, True]


@wishes
def test_state_is_torchs_adams(capture: Capture) -> None:
    """A checkpoint fits torch's own optimizer, and one of torch's is continued."""
    torch.manual_seed(0)
    net = NETS["smooth"]()
    down = descent(net, capture)
    for round_ in range(3):
        down.renew()
        if round_ == 2:
            plain_net = copy.deepcopy(net)
            plain = torch.optim.Adam(plain_net.parameters(), lr=0.05, fused=True)
            plain.load_state_dict(copy.deepcopy(down.optimizer.state_dict()))
            down.optimizer.load_state_dict(copy.deepcopy(plain.state_dict()))
            down.renew()
        for _ in range(PROOFS + 3):
            x = torch.randn(8, 4)
            down.backward(x)
            down.step()
            if round_ == 2:
                plain.zero_grad()
                plain_net(x).mean().backward()
                nn.utils.clip_grad_norm_(plain_net.parameters(), 0.1)
                plain.step()
    for one, other in zip(net.parameters(), plain_net.parameters(), strict=True):
        assert torch.equal(one, other)


@wishes
def test_divergence_keeps_weights(capture: Capture) -> None:
    net = NETS["relu"]()
    down = descent(net, capture, place=lambda: "the update after step 7")
    for rounds in range(2):
        down.renew()
        for _ in range(PROOFS + 3):
            down.backward(torch.randn(8, 4))
            down.step()
        before = [p.detach().clone() for p in net.parameters()]
        down.backward(torch.full((8, 4), torch.nan))
        with pytest.raises(DivergedError, match="became nan in the update after step 7, before the weights were"):
            down.step()
        assert all(torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)), rounds


SOME = ["there is one, of something else"]


def rounds(net: nn.Module, packages: Packages, *, singly: bool = False) -> list[Tensor]:
    """Take three rounds of ten steps on batches that are drawn on the way; return norms, figures, weights and state."""
    optimizer = EagerAdam(net.parameters(), lr=0.05, fused=True)

    def loss(x: Tensor, scale: float | Tensor) -> Sequence[Tensor]:
        y = net(x) * scale
        return y.mean(), y, y.abs().mean()

    down = Descent(loss, net, optimizer, max_norm=0.1, device=CPU, capture="auto", packages=packages)
    found: list[Tensor] = []
    torch.manual_seed(0)
    for _ in range(3):
        down.renew()
        batches = ((torch.randn(8, 4), 0.5 + i) for i in range(10))
        steps = [[x.clone() for x in figures] for figures in down.along(batches, singly=singly)]
        assert [len(figures) for figures in steps] == [2] * 10
        found += [x for figures in steps for x in figures]
        found.append(torch.tensor(down.norms))
    state = [x for p in net.parameters() for x in optimizer.state[p].values()]
    return [*found, *(p.detach() for p in net.parameters()), *state]


@pytest.mark.parametrize("singly", [False, True])
@pytest.mark.parametrize("dropout", [False, True])
def test_programs_of_something_else_change_no_bit(dropout: bool, singly: bool) -> None:
    net = nn.Sequential(NETS["smooth"](), nn.Dropout(0.5 if dropout else 0.0))
    ours = rounds(copy.deepcopy(net), Packages(SOME), singly=singly)
    assert all(map(torch.equal, ours, rounds(copy.deepcopy(net), Packages())))


def test_steps_taken_together_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net = NETS["smooth"]()
    plain = rounds(copy.deepcopy(net), Packages())
    monkeypatch.setattr(Captured, "is_compiled", lambda *_: True)
    assert all(map(torch.equal, rounds(copy.deepcopy(net), Packages(SOME)), plain))


def test_looking_for_a_program_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    down = Descent(
        lambda x: (net(x).mean(),),
        net,
        EagerAdam(net.parameters(), lr=0.05, fused=True),
        max_norm=1,
        device=CPU,
        capture="auto",
        packages=Packages(SOME),
    )
    down.renew()
    everything = [*net.parameters(), *net.buffers(), *down._state()]
    before, chance = [x.detach().clone() for x in everything], torch.get_rng_state()
    assert not down._several.is_compiled((0.05,), (torch.randn(8, 4, generator=torch.Generator()),))
    assert all(map(torch.equal, everything, before))
    assert torch.equal(torch.get_rng_state(), chance)


def test_a_loop_that_ends_leaves_its_step_out() -> None:
    net = NETS["relu"]()
    down = descent(net, "auto", packages=Packages(SOME))
    down.renew()
    for number, _ in enumerate(down.along([(torch.randn(8, 4),)] * 5, singly=True)):
        before = [p.detach().clone() for p in net.parameters()]
        if number == 3:
            break
    assert len(down.norms) == 3
    assert all(map(torch.equal, net.parameters(), before))


def test_divergence_ends_steps_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are those before the step that fails, whatever comes after it in the same call."""
    monkeypatch.setattr(Captured, "is_compiled", lambda *_: True)
    net = NETS["relu"]()
    optimizer = EagerAdam(net.parameters(), lr=0.05, fused=True)
    settings: dict[str, Any] = {"max_norm": 1, "device": CPU, "capture": "auto", "packages": Packages(SOME)}
    down = Descent(lambda x: (net(x).mean(),), net, optimizer, **settings)
    down.renew()
    batches = [(torch.full((8, 4), float("nan") if i == 5 else 1.0 + i),) for i in range(8)]
    alone = copy.deepcopy(net)
    with pytest.raises(DivergedError, match="became nan in an update, before the weights were changed"):
        list(down.along(batches))
    assert len(down.norms) == 5
    plain = torch.optim.Adam(alone.parameters(), lr=0.05, fused=True)
    for (x,) in batches[:5]:
        plain.zero_grad()
        alone(x).mean().backward()
        nn.utils.clip_grad_norm_(alone.parameters(), 1)
        plain.step()
    assert all(map(torch.equal, net.parameters(), alone.parameters()))


def test_scaling_keeps_shape_and_values() -> None:
    images = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8)
    torch.testing.assert_close(scaled(images), images.float() / 255, atol=0, rtol=0)
    torch.testing.assert_close(scaled(images[0]), images[0].float() / 255, atol=0, rtol=0)
