"""Evaluation of an agent: whole episodes, each from its own seed, many of them side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from PIL import Image

from agents.environments import EnvSettings
from agents.extractor import Memory
from agents.frames import frame, number
from agents.observations import stack
from lab.settings import PositiveInt

SIDE_BY_SIDE = 100  # environments per batch of the policy
FILM_SIDE = 320  # pixels


@dataclass(frozen=True)
class EvaluationSettings:
    """How the agent is judged, always by deterministic episodes.

    Args:
        episodes: of the final policy, and of the best one, on seeds that training never saw.
        every: steps between the evaluations that choose the best policy.
        best_episodes: episodes of each of these, on seeds of their own.
        stop_at: mean return in one of these that ends training; null: it goes on to the end.
        video: where the environment can be drawn, film an episode of the final and of the best policy, and on the way
            there the beginning of one of the latest.
        video_every: steps between two films of the latest policy, each after the next evaluation; null: a quarter of
            the run.
    """

    episodes: PositiveInt = 100
    every: PositiveInt = 10_000
    best_episodes: PositiveInt = 10
    stop_at: float | None = None
    video: bool = True
    video_every: PositiveInt | None = None


@dataclass(frozen=True)
class Episodes:
    """Undiscounted return and length in steps of each episode."""

    returns: np.ndarray
    lengths: np.ndarray


class Actor(Protocol):
    """What acts in an environment: `agents.agent.Agent`, or anything else with its `act`."""

    def act(self, observations: Any, memory: Memory | None = None) -> tuple[np.ndarray[Any, Any], Memory | None]: ...


def play_episodes(agent: Actor, settings: EnvSettings, seeds: Sequence[int]) -> Episodes:
    """Play one deterministic episode from each seed. No episode is cut off, and none counts twice."""
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=int)
    for start in range(0, len(seeds), SIDE_BY_SIDE):
        chunk = range(start, min(start + SIDE_BY_SIDE, len(seeds)))
        envs = {i: settings.make() for i in chunk}
        observations = {i: envs[i].reset(seed=int(seeds[i]))[0] for i in chunk}
        playing = list(envs)
        memory: Memory | None = None  # row r of the memory is of episode playing[r]
        while playing:
            actions, memory = agent.act(stack([observations[i] for i in playing]), memory)
            for i, action in zip(playing, actions, strict=True):
                observations[i], reward, terminated, truncated, _ = envs[i].step(action)
                returns[i] += float(reward)
                lengths[i] += 1
                if terminated or truncated:
                    envs.pop(i).close()
            if len(envs) < len(playing):
                memory = _rows(memory, [row for row, i in enumerate(playing) if i in envs])
                playing = list(envs)
    return Episodes(returns, lengths)


def film(agent: Actor, settings: EnvSettings, seed: int, *, limit: int = 250) -> list[Image.Image]:
    """Film a deterministic episode for the journal: `limit` frames at most, about 25 for each second, each with the
    step and the return so far. How long a frame lasts, in milliseconds, is its `info["duration"]`."""
    draw_into_memory()
    env = settings.make(render_mode="rgb_array")
    fps = frames_per_second(env)
    every = max(1, round(fps / 25))
    observation, _ = env.reset(seed=seed)
    frames: list[Image.Image] = []
    memory: Memory | None = None
    total, step, over = 0.0, 0, False
    while not over and len(frames) < limit:
        if step % every == 0:
            frames.append(frame(np.asarray(env.render()), caption(step, total), most=FILM_SIDE))
            frames[-1].info["duration"] = round(100 * every / fps) * 10
        actions, memory = agent.act(stack([observation]), memory)
        observation, reward, terminated, truncated, _ = env.step(actions[0])
        total, step, over = total + float(reward), step + 1, terminated or truncated
    env.close()
    return frames


def caption(step: int, total: float) -> str:
    """The line above a frame."""
    return f"step {step:<5} return {number(total)}"


def frames_per_second(env: gym.Env[Any, Any]) -> float:
    """How fast the environment wants to be shown; 30 where it does not say."""
    return float(env.metadata.get("render_fps") or 30)


def draw_into_memory() -> None:
    """Let pygame draw without looking for a screen."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def _rows(memory: Memory | None, kept: list[int]) -> Memory | None:
    return None if memory is None else tuple(part[kept] for part in memory)
