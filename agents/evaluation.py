"""Evaluation of an agent: whole episodes, each from its own seed, many of them side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from agents.agent import Agent
from agents.environments import EnvSettings

SIDE_BY_SIDE = 100  # environments per batch of the policy


@dataclass(frozen=True)
class Episodes:
    """Undiscounted return and length in steps of each episode."""

    returns: np.ndarray
    lengths: np.ndarray


def play_episodes(agent: Agent, settings: EnvSettings, seeds: Sequence[int]) -> Episodes:
    """Play one deterministic episode from each seed. No episode is cut off, and none counts twice."""
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=int)
    for start in range(0, len(seeds), SIDE_BY_SIDE):
        chunk = range(start, min(start + SIDE_BY_SIDE, len(seeds)))
        envs = {i: settings.make() for i in chunk}
        observations = {i: envs[i].reset(seed=int(seeds[i]))[0] for i in chunk}
        while envs:
            playing = list(envs)
            actions = agent.act(np.stack([observations[i] for i in playing]))
            for i, action in zip(playing, actions, strict=True):
                observations[i], reward, terminated, truncated, _ = envs[i].step(action)
                returns[i] += float(reward)
                lengths[i] += 1
                if terminated or truncated:
                    envs.pop(i).close()
    return Episodes(returns, lengths)


def film(agent: Agent, settings: EnvSettings, seed: int, *, width: int = 320, limit: int = 250) -> list[Image.Image]:
    """Film a deterministic episode: every second frame, `limit` of them at most, with the return so far drawn in."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame draws into memory, and need not look for a screen
    env = settings.make(render_mode="rgb_array")
    observation, _ = env.reset(seed=seed)
    frames: list[Image.Image] = []
    total, step, over = 0.0, 0, False
    while not over and len(frames) < limit:
        if step % 2 == 0:
            frame = Image.fromarray(np.asarray(env.render()))
            frame = frame.resize((width, frame.height * width // frame.width), Image.Resampling.LANCZOS)
            ImageDraw.Draw(frame).text((6, 4), f"step {step}   return {total:.0f}", fill=(40, 40, 40))
            frames.append(frame)
        observation, reward, terminated, truncated, _ = env.step(agent.act(np.asarray(observation)[None])[0])
        total, step, over = total + float(reward), step + 1, terminated or truncated
    env.close()
    return frames
