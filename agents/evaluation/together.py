"""Whole episodes of evaluation in a native vector environment, whose copies step together in arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agents.environments.native import NativeEnvs
from agents.environments.settings import EnvSettings
from agents.evaluation.env import Actor, EvalEnv
from agents.spaces.observations import alike, at, stack
from lab.errors import EnvironmentFailedError
from lab.system.randomness import kept_randomness

MOST = 500
"""Copies of a vector. More at a time are no faster, and take memory where they are seen in pixels."""
TRIED, TRIED_STEPS = 4, 30

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Episodes:
    """Undiscounted return and length in steps of each episode."""

    returns: np.ndarray
    lengths: np.ndarray


def play_together(agent: Actor, settings: EnvSettings, seeds: Sequence[int]) -> Episodes | None:
    """Play one episode from each seed, each the first of its own copy. What a copy does after its first episode does
    not count, and all of them are waited for, so short episodes have no advantage.

    None where the environment has no native vector, or one that plays other episodes than environments of their own.
    Raises EnvironmentFailedError.
    """
    make = replace(settings, training_wrappers=(), resume="auto").native_class()
    if make is None:
        return None
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=int)
    with kept_randomness():
        if not _plays_the_same(NativeEnvs(settings.id, make(TRIED), seed=0), settings):
            return None
    for start in range(0, len(seeds), MOST):
        part = seeds[start : start + MOST]
        with kept_randomness():
            envs = NativeEnvs(settings.id, make(len(part)), seed=0)
        with closing(envs):
            returns[start : start + MOST], lengths[start : start + MOST] = _play(agent, envs, part)
    return Episodes(returns, lengths)


def _play(agent: Actor, envs: NativeEnvs, seeds: Sequence[int]) -> tuple[Array, Array]:
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=int)
    playing, memory = np.ones(len(seeds), dtype=bool), None  # memory: RecurrentState | None
    with _blamed(envs):
        observations = envs.begin(seeds)
    while playing.any():
        actions, memory = agent.act(observations, memory)
        with _blamed(envs):
            steps = envs.advance(actions)
        returns += np.where(playing, steps.rewards, 0.0)
        lengths += playing
        playing &= ~(steps.terminated | steps.truncated)
        observations = steps.observations
    return returns, lengths


def _plays_the_same(envs: NativeEnvs, settings: EnvSettings) -> bool:
    """Try whether the copies play the episodes that environments of their own play from the same seeds and actions,
    number by number."""
    seeds = range(TRIED)
    with ExitStack() as opened:
        opened.enter_context(closing(envs))
        alone = [opened.enter_context(closing(EvalEnv(settings))) for _ in seeds]
        actions = envs.action_space
        actions.seed(0)
        try:
            observations = envs.begin(seeds)
        except Exception:  # an environment's own code may fail in any way, such as for a list of seeds
            return False
        for env, seed in zip(alone, seeds, strict=True):
            env.begin(seed)
        if not alike(observations, stack([env.observation for env in alone])):
            return False
        for _ in range(TRIED_STEPS):
            chosen = np.stack([actions.sample() for _ in seeds])
            with _blamed(envs):
                steps = envs.advance(chosen)
            for copy, env in enumerate(alone):
                if env.over:
                    continue
                env.step(chosen[copy])
                ended = bool(steps.terminated[copy]), bool(steps.truncated[copy])
                seen = at(steps.last if any(ended) else steps.observations, copy)
                if ended != (env.terminated, env.truncated) or steps.rewards[copy] != env.reward:
                    return False
                if not alike(seen, env.observation):
                    return False
    return True


@contextmanager
def _blamed(envs: NativeEnvs) -> Iterator[None]:
    """Raise what fails inside the block, in which the environment's own code runs, as EnvironmentFailedError."""
    try:
        yield
    except EnvironmentFailedError:
        raise
    except Exception as error:  # an environment's own code may fail in any way
        raise EnvironmentFailedError(f"environment {envs.name} raised {type(error).__name__}: {error}") from error
