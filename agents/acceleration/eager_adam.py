"""torch's Adam without torch's compiler, whose import takes longer than a short training."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch
from torch.optim import Adam, Optimizer


class EagerAdam(Adam):
    """torch's Adam (Kingma & Ba 2015).

    torch wraps these methods so that `torch.compile` leaves them alone, and the wrappers import the compiler
    (`torch._dynamo`) when they are first called. Nothing here is compiled, so the methods are called without wrappers.
    """

    add_param_group = unwrap(Optimizer.add_param_group)
    zero_grad = unwrap(Optimizer.zero_grad)
    state_dict = unwrap(Optimizer.state_dict)

    def load_state_dict(self, state_dict: Any) -> None:
        unwrap(Optimizer.load_state_dict)(self, state_dict)

    def begin(self) -> None:
        """Make the state that torch makes in the first step: programs change tensors that are there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
            self._init_group(group, [], [], [], [], [], [])  # type: ignore[no-untyped-call]
            for parameter in group["params"]:
                parameter.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step along the gradients of the parameters."""
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return unwrap(Adam.step)(self, closure)
