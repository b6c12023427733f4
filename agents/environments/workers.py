"""Environments in worker processes. If one dies or hangs, the run ends with an error message."""

from __future__ import annotations

import copy
import multiprocessing as mp
import os
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from agents.environments.sync import is_wrapped
from agents.environments.vector import Environments, Steps
from agents.spaces.observations import stack
from lab.errors import EnvironmentFailedError

Env = gym.Env[Any, Any]

PIECE = 1.0
"""Seconds of a replay after which a worker answers."""


class AsyncEnvs(Environments):
    """Steps each environment in a process of its own. Results are read in the environments' order, so that a run does
    not depend on which one finishes first.

    Args:
        name: id of the environment.
        makers: one picklable function per environment.
        timeout: seconds for one answer; a worker that takes longer is treated as hung.
    """

    def __init__(self, name: str, makers: Sequence[Callable[[], Env]], *, timeout: float) -> None:
        self.timeout, self.closed = timeout, False
        context: Any = mp.get_context("forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn")
        if context.get_start_method() == "forkserver":
            context.set_forkserver_preload(["agents.environments.settings"])  # imported once instead of in each worker
        self.pipes: list[Connection] = []
        self.workers: list[Any] = []
        for number, maker in enumerate(makers):
            ours, theirs = context.Pipe()
            lifeline, held = context.Pipe(duplex=False)
            arguments = (theirs, lifeline, maker, _registered(name))
            worker = context.Process(target=_work, args=arguments, name=f"env-{number}", daemon=True)
            with _without_script(needed=needs_script(name, maker)):
                worker.start()
            theirs.close()
            lifeline.close()
            worker.lifeline = held  # open as long as this process lives
            self.pipes.append(ours)
            self.workers.append(worker)
        spaces = self._ask("spaces", [None] * len(makers), seconds=max(timeout, 120.0))
        super().__init__(name, len(makers), *spaces[0])

    def _step(self, actions: np.ndarray[Any, Any]) -> Steps:
        for number in range(self.num_envs):
            self._send(number, "step", actions[number])
        observations, rewards, terminated, truncated, last = zip(*self._answers(range(self.num_envs)), strict=True)
        ended = next((one for one in last if one is not None), None)
        return Steps(
            stack(list(observations)),
            np.array(rewards, np.float32),
            np.array(terminated, dtype=bool),
            np.array(truncated, dtype=bool),
            None if ended is None else stack([ended if one is None else one for one in last]),
        )

    def _reset(self) -> Any:
        return stack([observation for observation, _ in self._ask("reset", [None] * self.num_envs)])

    def _state(self) -> Any:
        return self.env_method("state")

    def _restore(self, state: Any) -> list[Any]:
        """Replay episodes in pieces of a second, so that a long episode is not taken for a hung worker, and a worker
        that hangs in one is found in the time of a step."""
        left = {number: one["actions"] for number, one in enumerate(state) if one.get("actions") is not None}
        begun = [
            {**one, "actions": None, "steps": one["steps"] - len(left.get(number, ()))}
            for number, one in enumerate(state)
        ]
        seen = self._ask("call", [("restore", (one,), {}) for one in begun])
        while left:
            pieces: dict[int, Any] = {number: ("replay", (actions, PIECE), {}) for number, actions in left.items()}
            answers = self._ask("call", pieces, list(left), seconds=self.timeout + PIECE)
            for (number, actions), (done, observation) in zip(list(left.items()), answers, strict=True):
                seen[number], left[number] = observation, actions[done:]
                if done == len(actions):
                    del left[number]
        return seen

    def begin_at(self, env_steps: int) -> None:
        self.env_method("begin_at", env_steps)

    def close(self) -> None:
        """End all workers, in whatever state they are."""
        if self.closed:
            return
        self.closed = True
        for pipe, worker in zip(self.pipes, self.workers, strict=True):
            pipe.close()  # ends a worker that waits for work
            worker.lifeline.close()
        for worker in self.workers:
            worker.join(2)
            if worker.is_alive():
                worker.kill()
                worker.join()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return self._ask("get", [attr_name] * self.num_envs, self._get_indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        self._ask("set", [(attr_name, value)] * self.num_envs, self._get_indices(indices))

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        return self._ask("call", [(method_name, args, kwargs)] * self.num_envs, self._get_indices(indices))

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        return self._ask("wrapped", [wrapper_class] * self.num_envs, self._get_indices(indices))

    def _ask(
        self,
        what: str,
        with_: Sequence[Any] | Mapping[int, Any],
        numbers: Iterable[int] | None = None,
        seconds: float | None = None,
    ) -> list[Any]:
        numbers = range(len(self.pipes)) if numbers is None else list(numbers)
        for number in numbers:
            self._send(number, what, with_[number])
        return self._answers(numbers, seconds)

    def _send(self, number: int, what: str, with_: Any) -> None:
        try:
            self.pipes[number].send((what, with_))
        except OSError as error:
            self._fail(f"the worker of environment {number} is gone", error)

    def _answers(self, numbers: Iterable[int], seconds: float | None = None) -> list[Any]:
        seconds = seconds or self.timeout
        deadline = time.monotonic() + seconds
        answers = []
        for number in numbers:
            try:
                if not self.pipes[number].poll(max(0.0, deadline - time.monotonic())):
                    self._fail(f"the worker of environment {number} has not answered within {seconds:g} s")
                kind, answer = self.pipes[number].recv()
            except (EOFError, OSError) as error:
                self.workers[number].join(1)
                code = self.workers[number].exitcode
                self._fail(f"the worker of environment {number} died with exit code {code}", error)
            if kind == "error":
                self._fail(answer[0], EnvironmentFailedError(f"in the worker:\n{answer[1]}"))
            answers.append(answer)
        return answers

    def _fail(self, what: str, cause: BaseException | None = None) -> None:
        self.close()
        raise EnvironmentFailedError(what) from cause


@contextmanager
def _without_script(*, needed: bool) -> Iterator[None]:
    """Inside the block, a new process does not run this process's script again, which may have no main guard, unless it
    is needed."""
    if needed:
        yield
        return
    whole = spawn.get_preparation_data

    def without(name: str) -> dict[str, Any]:
        return {key: value for key, value in whole(name).items() if not key.startswith("init_main")}

    spawn.get_preparation_data = without
    try:
        yield
    finally:
        spawn.get_preparation_data = whole


def needs_script(name: str, maker: Any) -> bool:
    """Whether a worker would have to run this process's script first: the environment of this id, or something that
    makes it, is defined there."""
    try:
        return b"__main__" in pickle.dumps((_registered(name), maker))
    except Exception:  # it cannot be sent at all, and whoever sends it says why
        return False


def _registered(name: str) -> EnvSpec | None:
    """Return how an environment is registered; None where the module in its id does that."""
    return None if ":" in name else gym.registry.get(name)


def _work(pipe: Connection, lifeline: Connection, maker: Callable[[], Env], registered: EnvSpec | None) -> None:
    """Run a worker. It ends when the pipe closes, and also during a step that hangs when its run is gone."""
    if registered is not None:  # perhaps by the script, which has not run here
        gym.registry.setdefault(registered.id, registered)
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C and a closed terminal signal the whole group; the run handles them
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    try:
        env = maker()
        while True:
            what, with_ = pipe.recv()
            pipe.send(("answer", _answer(env, what, with_)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        pipe.send(("error", (str(error), traceback.format_exc())))


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)


def _answer(env: Env, what: str, with_: Any) -> Any:
    if what == "step":
        observation, reward, terminated, truncated, _ = env.step(with_)
        last = None
        if terminated or truncated:
            # A copy: many environments write the next observation into the same memory.
            last, (observation, _) = copy.deepcopy(observation), env.reset()
        return observation, np.asarray(reward).item(), bool(terminated), bool(truncated), last
    if what == "reset":
        return env.reset()[0], {}  # what else it tells may be anything, also what cannot be sent
    if what == "call":
        name, args, kwargs = with_
        return env.get_wrapper_attr(name)(*args, **kwargs)
    if what == "get":
        return env.get_wrapper_attr(with_)
    if what == "set":
        return env.set_wrapper_attr(*with_)
    if what == "wrapped":
        return is_wrapped(env, with_)
    return env.observation_space, env.action_space
