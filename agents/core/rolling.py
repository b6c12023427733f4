"""Policy and environments as one function of tensors: many steps without NumPy, and on a GPU without waiting for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.environments.native import TensorEnvs
from agents.environments.vector import Steps

if TYPE_CHECKING:
    from agents.core.agent import Agent

AT_ONCE = 8
"""Most steps that one function takes. More take longer to compile, and save little."""


class Rolling:
    """Steps an agent whose policy has no memory in environments that are `TensorEnvs`.

    Some steps of the policy and of all environments are one captured function (see `Captured`). What they led to is
    counted and shown to callbacks afterwards, since only then their values are looked at.

    Args:
        agent: its `env` is stepped.
        choose: takes observations `(N, *shape)` and what else a step needs, and returns a tuple of tensors `(N, ...)`,
            the actions first.
    """

    def __init__(self, agent: Agent, choose: Callable[..., Sequence[Tensor]]) -> None:
        assert isinstance(agent.env, TensorEnvs)
        self.envs, self.choose, self.device = agent.env, choose, agent.device
        self.state: Any = None
        self.bounds: tuple[Tensor, Tensor] | None = None
        if isinstance(space := agent.action_space, spaces.Box):
            self.bounds = (torch.tensor(space.low, device=agent.device), torch.tensor(space.high, device=agent.device))
        self.steps = agent.accelerate(self._steps, "steps of policy and environments", self._changed)
        self.random = torch.empty(0)
        """The environments' generator before the last steps."""
        self.columns: Sequence[Tensor] = ()
        """What the last steps returned, and the environments' states after each, `(T, N, ...)`."""

    def take(self, observations: Any, count: int, *drawn: Tensor) -> Sequence[Tensor]:
        """Take `count` steps from observations `(N, *shape)`, with `drawn` `(T, N, ...)` for `choose`.

        Return what it chose, and observations, rewards, terminated, truncated and last observations, as `Stepped` has
        them: `(T, N, ...)` each. The next call overwrites them.
        """
        self._take_state()
        self.random = self._generator().get_state()
        self.steps.renew(*self.state)
        parts = (self.envs.env.uniforms(count), *drawn)  # (T, N, ...) each
        width = next(k for k in range(AT_ONCE, 0, -1) if count % k == 0)
        first = self.steps(torch.as_tensor(observations).to(self.device), *(x[:width] for x in parts))
        if not self.columns or len(self.columns[0]) != count:
            self.columns = [x.new_empty(count, *x.shape[1:]) for x in first]
        for column, x in zip(self.columns, first, strict=True):
            column[:width] = x
        *_, following, _, _, _, _ = found = self.columns[: -len(self.state)]
        places = list(zip(*(torch.split(x, width) for x in self.columns), strict=True))
        given = list(zip(*(torch.split(x, width) for x in parts), strict=True))
        for number in range(1, count // width):
            self.steps.write(places[number], following[number * width - 1], *given[number])
        return found

    def follow(self, columns: Sequence[Tensor]) -> Iterator[Steps]:
        """Count the steps that `take` returned, and yield each; their arrays stay as they are. Where the caller ends
        early, the environments go back to the last step that it got."""
        # Copies: the next call of `take` overwrites the columns.
        stepped = [x.cpu().numpy().copy() for x in columns[-5:]]
        some = (stepped[2] | stepped[3]).any(1)
        checked = all(bool(np.isfinite(x).all()) for x in stepped)
        done = 0
        try:
            for ended, seen, rewards, terminated, truncated, last in zip(some, *stepped, strict=True):
                steps = Steps(seen, rewards, terminated, truncated, last if ended else None)
                self.envs.follow(steps, checked=checked)
                done += 1
                yield steps
        finally:
            if done < len(some):
                self._go_back(done)

    def _go_back(self, done: int) -> None:
        """Put the environments where they were after the first `done` of the last steps."""
        for part, column in zip(self.state, self.columns[-len(self.state) :], strict=True):
            part.copy_(column[done - 1])
        self._generator().set_state(self.random)
        self.envs.env.uniforms(done)

    def _generator(self) -> torch.Generator:
        assert isinstance(self.envs.env.random, torch.Generator)
        return self.envs.env.random

    def _steps(self, observations: Tensor, uniforms: Tensor, *drawn: Tensor) -> Sequence[Tensor]:
        """Return what `take` keeps of K steps, `(K, N, ...)` each, for random numbers `(K, N, ...)`."""
        rows = []
        with torch.no_grad():
            for chance, *others in zip(uniforms, *drawn, strict=True):
                chosen = self.choose(observations, *others)
                actions = chosen[0] if self.bounds is None else torch.clamp(chosen[0], *self.bounds)
                state, *parts = self.envs.env.core.step(self.state, actions, chance)
                for old, new in zip(self.state, state, strict=True):
                    old.copy_(new)
                rows.append((*chosen, *parts, *state))
                observations = parts[0]
            return [torch.stack(column) for column in zip(*rows, strict=True)]

    def _take_state(self) -> None:
        """Keep the environments' state where captured operations find it."""
        now = self.envs.env.state
        if now is not self.state:
            assert now is not None
            if self.state is None:
                # As in a resumed run, which compiled programs are to find alike: one copy may have other strides.
                self.state = type(now)(*(part.clone(memory_format=torch.contiguous_format) for part in now))
            for old, new in zip(self.state, now, strict=True):
                old.copy_(new)
            self.envs.env.state = self.state

    def _changed(self) -> Sequence[Tensor]:
        return [] if self.state is None else list(self.state)
