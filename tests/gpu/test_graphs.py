"""Captured updates on a device: CUDA graphs compute what plain torch computes, within rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.acceleration.captured import PROOFS, WARM_UP, Captured
from agents.core.agent import Agent
from tests.agents.acceleration.test_captured import NETS, pair_of_steps
from tests.support.tasks import Identity, dqn, ppo, together, weights

ENOUGH = WARM_UP + PROOFS + 3
"""Calls after which a function is captured and proven."""


def drawn(generator: int, device: torch.device) -> Tensor:
    torch.manual_seed(generator)
    return torch.randn(8, 4, device=device)


@pytest.mark.parametrize("name", [name for name in NETS if name not in ("memory", "random slopes")])
def test_captured_steps_train_equally(name: str, device: torch.device) -> None:
    torch.manual_seed(0)
    ours, theirs = pair_of_steps(NETS[name]().to(device), "always", device)
    for step in range(3 * ENOUGH):  # the function that follows the gradient is captured after the one that computes it
        x = drawn(step, device)
        found = []
        for train in (ours, theirs):
            torch.manual_seed(step)  # for dropout
            found.append(train(x, 0.05 / (1 + step)))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)


def test_learning_rate_is_read_anew(device: torch.device) -> None:
    """A graph would repeat the number that was there when it was captured."""
    net = nn.Linear(4, 3).to(device)
    step, _ = pair_of_steps(net, "always", device)
    for number in range(3 * ENOUGH):
        step(drawn(number, device), 0.05)
    before = net.weight.detach().clone()
    step(drawn(0, device), 0.0)
    assert torch.equal(before, net.weight)


def test_simple_functions_are_captured(device: torch.device) -> None:
    net = nn.Linear(4, 3).to(device)
    once = Captured(lambda x, factor: (net(x) * factor,), net, device, "always")
    for number in range(ENOUGH):
        x = drawn(number, device)
        torch.testing.assert_close(once(x, float(number))[0], net(x) * number)
    assert once.proven


def test_random_numbers_are_drawn_anew(device: torch.device) -> None:
    once = Captured(lambda x: (torch.rand_like(x),), nn.Identity(), device, "always")
    x = torch.zeros(5, device=device)
    found = [once(x)[0].clone() for _ in range(ENOUGH + 2)]
    assert once.proven
    assert len({tuple(x.tolist()) for x in found}) == len(found)


@pytest.mark.parametrize("reason", ["a number", "a shape", "the CPU"])
def test_others_run_as_they_are(reason: str, device: torch.device) -> None:
    """A function whose values the CPU must see, or in which a tensor of the CPU takes part, is not captured."""
    if reason == "the CPU" and device.type == "cpu":
        pytest.skip("there is no other device")

    def function(x: Tensor) -> Sequence[Tensor]:
        if reason == "a number":
            return (x * x.sum().item(),)
        return (x[x > 0].sum() * x,) if reason == "a shape" else (x * torch.tensor(2.0).to(device),)

    once = Captured(function, nn.Identity(), device, "always")
    for number in range(ENOUGH):
        x = drawn(number, device)
        torch.testing.assert_close(once(x)[0], function(x)[0])
    assert not once.proven
    assert once.wished or reason != "the CPU"


@pytest.mark.parametrize("build", [ppo, dqn])
def test_agents_learn_equally(build: Callable[..., Agent], device: torch.device) -> None:
    found = []
    for capture in ("always", "never"):
        agent = build(together(lambda: Identity(spaces.Discrete(4)), 2), device=device, capture=capture)
        torch.manual_seed(3)
        agent.learn(256)
        found.append(weights(agent.policy))
        if capture == "always":
            assert agent.choose.proven  # type: ignore[attr-defined]
            assert agent.descent._compute.proven  # type: ignore[attr-defined]
            assert agent.descent._follow.proven  # type: ignore[attr-defined]
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)
