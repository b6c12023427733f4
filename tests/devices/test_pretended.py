"""The pretended device refuses what CUDA refuses, and computes what the CPU computes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.devices.pretended import CUDA, pretended_cuda

CPU = torch.device("cpu")
REFUSED: dict[str, Callable[[Tensor], Any]] = {
    "a sum": lambda x: x + torch.ones(4, 3),
    "a sum the other way": lambda x: torch.ones(4, 3) + x,
    "a number into one of the CPU": lambda x: torch.tensor(2.0).add_(x.sum()),
    "a number of the device": lambda x: torch.ones(4, 3) * x.sum(),
    "joined": lambda x: torch.cat([x, torch.ones(1, 3)]),
    "a product": lambda x: x @ torch.ones(3, 2),
    "an index on the device": lambda x: torch.ones(4)[torch.zeros(1, dtype=torch.long, device=CUDA)],
    "a selection": lambda x: x.index_select(0, torch.zeros(1, dtype=torch.long)),
    "a constant": lambda x: F.linear(x, torch.ones(2, 3)),
    "numbers of another generator": lambda x: torch.rand(3, generator=torch.Generator(), device=CUDA),
    "the device's generator": lambda x: torch.rand(3, generator=torch.Generator(CUDA)),
    "numpy": lambda x: x.numpy(),
    "an array": lambda x: np.asarray(x),
    "a product of whole numbers": lambda x: x.long() @ x.long().T,
    "a histogram": lambda x: torch.histogram(x, 3),
    "a gradient": lambda x: setattr(nn.Parameter(torch.ones(3)), "grad", x[0]),
    "equality": lambda x: torch.equal(x, torch.ones(4, 3)),
}
ALLOWED: dict[str, Callable[[Tensor], Any]] = {
    "a number": lambda x: (x * torch.tensor(2.0), torch.tensor(2.0) * x, x + 1),
    "an index of the CPU": lambda x: x[torch.tensor([0, 2])],
    "a mask": lambda x: x[x > 0],
    "a copy": lambda x: torch.ones(4, 3).copy_(x),
    "there and back": lambda x: x.cpu().to(x),
    "rows put in": lambda x: x.clone().index_put_((torch.tensor([0]),), torch.tensor(1.0, device=x.device)),
    "by itself": lambda x: (x.unsqueeze_(0), x.squeeze_(0), x.T.contiguous(), x.tolist(), f"{x.sum():.3f}"),
    "attention": lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None]),
    "one hot": lambda x: F.one_hot(x.argmax(1), 3).to(x),
}


@pytest.fixture(autouse=True)
def pretence() -> Iterator[None]:
    with pretended_cuda():
        yield


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 3).to(CUDA)


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("inference", [False, True])
def test_others_are_refused(case: str, inference: bool, x: Tensor) -> None:
    with torch.inference_mode(inference), pytest.raises((RuntimeError, TypeError)):
        REFUSED[case](x)


@pytest.mark.parametrize("case", ALLOWED)
@pytest.mark.parametrize("inference", [False, True])
def test_same_as_on_cpu(case: str, inference: bool, x: Tensor) -> None:
    with torch.inference_mode(inference):
        ours, theirs = ALLOWED[case](x.clone()), ALLOWED[case](x.cpu())
    for one, other in zip(*(found if isinstance(found, tuple) else (found,) for found in (ours, theirs)), strict=True):
        if isinstance(one, Tensor):
            torch.testing.assert_close(one.cpu(), other)
        else:
            assert one == other


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_networks_have_same_gradients(kind: Callable[[int, int], nn.Module]) -> None:
    net = nn.ModuleDict({"first": nn.Conv1d(3, 4, 1), "norm": nn.BatchNorm1d(4), "rest": kind(4, 5)})
    ours = copy.deepcopy(net).to(CUDA)
    x = torch.randn(7, 3, 2)
    for one, place in ((net, CPU), (ours, CUDA)):
        one["rest"](one["norm"](one["first"](x.to(place))).transpose(1, 2))[0].square().sum().backward()
    for mine, other in zip(ours.parameters(), net.parameters(), strict=True):
        assert mine.device == CUDA
        assert mine.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(mine.grad.cpu(), other.grad)


def test_optimizer_follows_its_module() -> None:
    """Moving a module keeps its parameters, as on a GPU, so that an optimizer that was made before trains them."""
    net = nn.Linear(3, 2)
    optimizer, weight = torch.optim.Adam(net.parameters(), fused=True), net.weight
    net.to(CUDA)
    assert net.weight is weight
    before = net.weight.tolist()
    net(torch.ones(1, 3, device=CUDA)).sum().backward()
    optimizer.step()
    assert net.weight.tolist() != before
    assert optimizer.state[weight]["step"].device == CUDA
    assert net.cpu().weight.device == CPU


def test_constant_of_cpu_is_found() -> None:
    """The fault that all this is for: a module keeps a tensor that does not move with it."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.ones(3)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    with pytest.raises(RuntimeError, match="on the same device"):
        Scaled().to(CUDA)(torch.ones(2, 3, device=CUDA))


def test_nothing_is_left_behind() -> None:
    before = torch.cuda.is_available, torch.Generator, nn.Module._apply
    with pretended_cuda():
        assert torch.cuda.is_available()
    assert (torch.cuda.is_available, torch.Generator, nn.Module._apply) == before
