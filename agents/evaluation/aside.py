"""Films for the journal, made during training without changing it."""

from __future__ import annotations

from contextlib import closing

from PIL import Image

from agents.core.agent import Agent
from agents.environments.settings import EnvSettings
from agents.evaluation.env import Actor, EvalEnv
from agents.evaluation.frames import Frames, caption, draw_into_memory, frames_per_second
from lab.console.notices import notice
from lab.system.randomness import kept_randomness

FILM_SIDE = 320  # pixels
FILM, SHORT_FILM = 250, 40
"""Frames of a film at the end of a run, and of a film during training, which costs time."""


def film_aside(agent: Agent, settings: EnvSettings, seed: int, limit: int) -> list[Image.Image]:
    """Film the acting policy in the episode of `seed`, for at most `limit` frames. Return no frames if that fails.

    Random generators are restored afterwards, so that training is the same with and without films.
    """
    try:
        with kept_randomness(agent.device):
            frames = film(agent, settings, seed, limit=limit)
    except Exception as error:  # rendering may fail in any way
        cause = error.__cause__ or error
        notice(f"{settings.id} could not be filmed: {type(cause).__name__}: {cause}")
        return []
    # One palette per frame by the fastest method; saving as GIF would use a slower one.
    small = [full.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) for full in frames]
    for one, full in zip(small, frames, strict=True):
        one.info |= full.info  # how long it is shown
    return small


def film(agent: Actor, settings: EnvSettings, seed: int, *, limit: int = 250) -> list[Image.Image]:
    """Film a deterministic episode for the journal: `limit` frames at most, about 25 for each second, each with the
    step and the return so far. How long a frame lasts, in milliseconds, is its `info["duration"]`."""
    draw_into_memory()
    frames: list[Image.Image] = []
    made = Frames(FILM_SIDE)
    with closing(EvalEnv(settings, "rgb_array")) as env:
        fps = frames_per_second(env.env.metadata)
        every = max(1, round(fps / 25))
        env.begin(seed)
        while not env.over and len(frames) < limit:
            if env.length % every == 0:
                frames.append(made.frame(env.render(), caption(env.length, env.total)))
                frames[-1].info["duration"] = round(100 * every / fps) * 10
            env.act(agent)
    return frames
