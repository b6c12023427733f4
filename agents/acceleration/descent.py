"""The one seam between an algorithm's loss and what makes its gradient steps fast."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from agents.acceleration.captured import Capture, Captured
from agents.acceleration.eager_adam import EagerAdam
from agents.acceleration.programs import Input
from agents.compiled.packages import NONE, Packages
from lab.errors import DivergedError

TOGETHER = 4
"""Steps that a compiled program takes in one call. More take longer to compile, and save little."""


class Descent:
    """Gradient descent on `loss`, with the gradient's norm clipped. These two calls

        figures = descent.backward(*inputs)
        descent.step()

    do what

        loss, *figures = loss_function(*inputs)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        optimizer.step()

    does, to the last bit on the CPU (tests/agents/acceleration/test_descent.py). With `capture` the operations of both
    are repeated without Python: see `captured.py`. Compiled programs, where there are any, round otherwise. State and
    files of the optimizer stay torch's own.

    Args:
        loss: returns the loss, a scalar, and then any figures, which come back without gradients and are valid until
            the next call.
        module: the loss may read all of its weights, buffers and attributes.
        optimizer: of torch, such as `Adam(..., fused=True)`.
        max_norm: the largest norm of the gradient.
        device: of all tensors.
        capture: whether to capture where that is possible; `never` runs plain torch each time.
        packages: compiled programs that may run instead, and round otherwise.
        place: names the present update, for messages.
    """

    def __init__(
        self,
        loss: Callable[..., Sequence[Tensor]],
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        max_norm: float,
        device: torch.device,
        capture: Capture,
        packages: Packages = NONE,
        place: Callable[[], str] = lambda: "an update",
    ) -> None:
        self.loss, self.optimizer, self.max_norm, self.place = loss, optimizer, max_norm, place
        self.parameters: list[nn.Parameter] = []
        self.norms: list[float | Tensor] = []
        """The gradient's norm in each step since `renew`, before clipping; tensors on a GPU, where looking waits."""
        self._compute = Captured(
            self._compute_gradient, module, device, capture, packages=packages, what="loss and gradient"
        )
        self._follow = Captured(
            self._follow_gradient, module, device, capture, self._changed, packages, "step along the gradient"
        )
        self._several = Captured(
            self._take_steps, module, device, capture, self._changed, packages, "gradient steps", repeats=False
        )
        self._together: bool | None = None
        self._norm = torch.zeros(())
        self._gradients: Sequence[Tensor] = ()
        self._stateless = True
        self._due: dict[Captured, tuple[object, ...]] = {}  # functions not called since `renew`, and what they read

    @property
    def takes_several(self) -> bool:
        """Whether `along` takes several steps in one call; a guess before it is first used."""
        return bool(self._several.packages) if self._together is None else self._together

    @property
    def captured(self) -> Sequence[Captured]:
        """The functions that are repeated without compiled programs."""
        return self._compute, self._follow

    def renew(self, *constants: object) -> None:
        """Begin a round of steps. Call it whenever anything but tensors' values may have changed: which weights are
        trained, the optimizer's state, and `constants`, everything else that the loss reads."""
        groups = self.optimizer.param_groups
        for parameter in (p for group in groups for p in group["params"]):
            parameter.grad = None  # or the optimizer would go on moving those that are no longer trained
        self.parameters = [p for group in groups for p in group["params"] if p.requires_grad]
        self._stateless = any(p not in self.optimizer.state for p in self.parameters)
        if self._stateless and self._several.packages and isinstance(self.optimizer, EagerAdam):
            self.optimizer.begin()
            self._stateless = False
        settings = [value for group in groups for name, value in group.items() if name not in ("params", "lr")]
        optimizing = (self.max_norm, *settings, *self._changed())
        self._due = {self._compute: constants, self._follow: optimizing, self._several: (*constants, *optimizing)}
        self.norms = []

    def along(self, batches: Iterable[Sequence[Input]], *, singly: bool = False) -> Iterator[Sequence[Tensor]]:
        """Take a step for each of `batches`, which are inputs of the loss, and yield its figures.

        A compiled program takes several steps in one call, which must have as many figures each; their batches are
        drawn before the first of them. With `singly` the figures of a step come before it is taken: a loop that ends
        there leaves it out, and the next batch may depend on what is done with them. Raises what `step` raises.
        """
        rest = iter(batches)
        first = tuple(islice(rest, 1))
        like = () if singly or self._stateless else tuple(map(tuple, first * TOGETHER))
        several, rest = self._renewed(self._several), chain(first, rest)
        self._together = bool(like) and several.is_compiled(self._rates(), *like)
        if not self._together:
            for inputs in rest:
                yield self.backward(*inputs)
                self.step()
            return
        while some := tuple(islice(rest, TOGETHER)):
            norms, *figures = several(self._rates(), *map(tuple, some))
            self._note(norms.tolist())
            each = len(figures) // len(some)
            for number in range(len(some)):
                yield figures[number * each : (number + 1) * each]

    def backward(self, *inputs: Input) -> Sequence[Tensor]:
        """Compute the gradient of the loss at `inputs`; return the figures. The weights do not change."""
        self._norm, *rest = self._renewed(self._compute)(*inputs)
        count = len(self.parameters)
        self._gradients = rest[:count]
        return rest[count:]

    def step(self) -> None:
        """Follow the gradient that `backward` computed.

        Raises DivergedError on the CPU where its norm is not finite; elsewhere see `require_finite`.
        """
        clip = True
        if self._norm.device.type == "cpu":
            norm = self._norm.item()
            self._note([norm])
            clip = norm > self.max_norm or bool(self._follow.packages)  # one program, which multiplies by 1 then
        else:
            self.norms.append(self._norm.clone())
        self._hand_over(self._gradients)
        # A repetition leaves its gradients in the same place each time, where following them can be repeated as well;
        # but not the first time, in which the optimizer makes its state.
        where = None if self._stateless else self._compute.repeated
        follow = self._follow_gradient if where is None else self._renewed(self._follow)
        follow(self._rates(), self._norm if clip else None, where)

    def _renewed(self, function: Captured) -> Captured:
        if (constants := self._due.pop(function, None)) is not None:
            function.renew(*constants)
        return function

    def _note(self, norms: Sequence[float]) -> None:
        for norm in norms:
            if not math.isfinite(norm):
                raise DivergedError(
                    f"the norm of the gradient became {norm} in {self.place()}, before the weights were changed"
                )
            self.norms.append(norm)

    def _rates(self) -> tuple[float | Tensor, ...]:
        return tuple([group["lr"] for group in self.optimizer.param_groups])

    def _hand_over(self, gradients: Sequence[Tensor | None]) -> None:
        """Give the gradients to the optimizer."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

    def require_finite(self) -> None:
        """Raise DivergedError if the norm of a gradient since `renew` is not finite."""
        norms = [norm for norm in self.norms if isinstance(norm, Tensor)]
        if norms and not bool(torch.stack(norms).isfinite().all()):
            raise DivergedError(f"the norm of the gradient is not finite in {self.place()}")

    def mean_norm(self) -> float:
        """Return the mean of `norms`; NaN where there is none."""
        return sum(map(float, self.norms)) / len(self.norms) if self.norms else math.nan

    def _compute_gradient(self, *inputs: Input) -> Sequence[Tensor]:
        loss, *figures = self.loss(*inputs)
        gradients = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        with torch.no_grad():
            own: list[Tensor] = []
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                # Fused Adam pairs numbers by their place in memory, and a convolution's gradient may have its channels
                # last. Autograd gives the parts of a sum the same tensor, which would be clipped twice.
                if gradient.stride() != parameter.stride() or any(gradient is other for other in own):
                    gradient = torch.empty_like(parameter).copy_(gradient)
                own.append(gradient)
            return get_total_norm(own), *own, *(figure.detach() for figure in figures)

    def _follow_gradient(self, rates: Sequence[float | Tensor], norm: Tensor | None, where: object) -> Sequence[Tensor]:
        if norm is not None:
            clip_grads_with_norm_(self.parameters, self.max_norm, norm)
        groups = self.optimizer.param_groups
        kept = [(group["lr"], group.get("capturable")) for group in groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
            if isinstance(rate, Tensor) and rate.is_cuda:
                # On CUDA torch's fused Adam takes this type alone, and wants to be told that it is captured.
                group |= {"lr": rate.float(), "capturable": True}
        try:
            self.optimizer.step()
        finally:
            for group, (rate, capturable) in zip(groups, kept, strict=True):
                group["lr"] = rate
                if "capturable" in group:
                    group["capturable"] = capturable
        return ()

    def _take_steps(self, rates: Sequence[float | Tensor], *batches: Sequence[Input]) -> Sequence[Tensor]:
        """Take a step for each batch; return the norms of the gradients `(K,)` before clipping, and all figures. From
        a norm on that is not finite, nothing changes."""
        norms, figures = [], []
        finite: Tensor | bool = True
        for inputs in batches:
            norm, *rest = self._compute_gradient(*inputs)
            count = len(self.parameters)
            norms.append(norm)
            figures += rest[count:]
            finite = norm.isfinite() & finite
            changing = [*self.parameters, *self._state()]
            before = [x.detach().clone() for x in changing]
            self._hand_over(rest[:count])
            self._follow_gradient(rates, norm, None)
            with torch.no_grad():
                for x, old in zip(changing, before, strict=True):
                    x.copy_(torch.where(finite, x, old))
        self._hand_over([None] * len(self.parameters))
        return torch.stack(norms), *figures

    def _changed(self) -> Sequence[Tensor]:
        """Return the optimizer's state, and the gradients that are followed."""
        return [*self._state(), *(p.grad for p in self.parameters if p.grad is not None)]

    def _state(self) -> list[Tensor]:
        return [x for p in self.parameters for x in self.optimizer.state.get(p, {}).values() if isinstance(x, Tensor)]
