"""Films for the journal, made during training without changing it."""

from __future__ import annotations

from PIL import Image

from agents.core.agent import Agent
from agents.environments.settings import EnvSettings
from agents.evaluation.episodes import film
from lab.console.notices import notice
from lab.system.randomness import kept_randomness

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
    small = [frame.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) for frame in frames]
    for frame, full in zip(small, frames, strict=True):
        frame.info |= full.info  # how long it is shown
    return small
