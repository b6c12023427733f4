"""The agents' Adam takes torch's own steps."""

from __future__ import annotations

import torch

from agents.acceleration.eager_adam import EagerAdam


def trained(cls: type[torch.optim.Adam], *, restart: bool) -> list[torch.Tensor]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    optimizer = cls(net.parameters(), lr=0.01)
    for step in range(6):
        if restart and step == 3:
            state = optimizer.state_dict()
            optimizer = cls(net.parameters(), lr=0.5)
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        net(torch.randn(16, 4)).square().mean().backward()
        optimizer.step()
    return list(net.parameters())


def test_steps_are_those_of_torch() -> None:
    expected = trained(torch.optim.Adam, restart=False)
    for restart in (False, True):
        assert all(map(torch.equal, trained(EagerAdam, restart=restart), expected))
