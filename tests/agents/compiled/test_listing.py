"""The text of a function's operations: equal where they compute the same, and of all that they depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from agents.acceleration.tape import record
from agents.compiled.listing import Listing

Function = Callable[[Tensor], Sequence[Tensor]]


def digest(function: Function, module: nn.Module, shape: tuple[int, ...] = (3, 4)) -> str | None:
    x = torch.ones(shape)
    listing = Listing([x], list(module.parameters()))
    return listing.digest(record(function, (x,), listing).outputs)


def net(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))


def test_weights_do_not_matter() -> None:
    one, other = net(), net()
    assert digest(lambda x: (one(x),), one) == digest(lambda x: (other(x),), other) is not None


CHANGES: dict[str, Callable[[nn.Module], Function]] = {
    "a number": lambda n: lambda x: (n(x) * 3,),
    "an operation": lambda n: lambda x: (n(x) + 2,),
    "an order": lambda n: lambda x: (n(x * 2),),
    "an output": lambda n: lambda x: (n(x) * 2, x),
    "a constant": lambda n: lambda x: (n(x) * torch.tensor([2.0, 3.0]),),
    "a gradient": lambda n: lambda x: torch.autograd.grad((n(x) * 2).sum(), list(n.parameters())),
}


@pytest.mark.parametrize("what", CHANGES)
def test_operations_matter(what: str) -> None:
    module = net()
    found = digest(CHANGES[what](module), module)
    assert found is not None
    assert found != digest(lambda x: (module(x) * 2,), module)


def test_shapes_matter() -> None:
    module, wider = net(), net(9)
    found = {digest(lambda x: (module(x),), module), digest(lambda x: (module(x),), module, (5, 4))}
    assert len(found | {digest(lambda x: (wider(x),), wider)}) == 3


def test_constants_matter_by_value() -> None:
    module = net()

    def times(n: float) -> str | None:
        return digest(lambda x: (module(x) * torch.tensor([n, n]),), module)

    two, three = times(2.0), times(3.0)
    assert two is not None
    assert three is not None
    assert two != three


def test_tensors_from_elsewhere_are_refused() -> None:
    module, elsewhere = net(), torch.ones(2)
    assert digest(lambda x: (module(x) * elsewhere,), module) is None


@pytest.mark.parametrize(
    ("function", "known"),
    [
        (lambda x: (x + torch.rand_like(x),), True),
        (lambda x: (x.clone().exponential_(),), True),
        (lambda x: (nn.functional.dropout(x),), True),
        (lambda x: (torch.bernoulli(x / 2),), False),
        (lambda x: (torch.multinomial(x, 1),), False),
    ],
    ids=["uniform", "exponential", "dropout", "by values", "multinomial"],
)
def test_chance_must_not_depend_on_values(function: Function, known: bool) -> None:
    assert (digest(function, nn.Identity()) is not None) is known
