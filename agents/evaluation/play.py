"""Shows a trained agent in a window or as a film."""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

from agents.environments.settings import EnvSettings
from agents.evaluation.env import Actor, EvalEnv
from agents.evaluation.films import FILMS, Film, has_mp4, require_mp4
from agents.evaluation.frames import Frames, caption, draw_into_memory, frames_per_second, title
from lab.capabilities import Episode, Showing
from lab.console.notices import notice
from lab.console.wording import install
from lab.errors import ConfigError, EnvironmentFailedError

HOLD = 1.0  # seconds that the last frame of an episode stays
ANNOUNCE = 0.8  # seconds for the title before each of several episodes


def play(agent: Actor, settings: EnvSettings, showing: Showing) -> Path | None:
    """Show one deterministic episode from each seed: see `lab.capabilities.Acts.play`."""
    modes = settings.render_modes()
    path = _where(settings.id, modes, showing)
    if path is not None:
        if "rgb_array" not in modes:
            raise ConfigError(f"{settings.id} cannot be filmed: it draws no rgb_array, its render modes are {modes}")
        draw_into_memory()
    try:
        with closing(EvalEnv(settings, "rgb_array" if path else "human")) as env:
            if path is None:
                _episodes(agent, env, Window(), showing)
            else:
                with FILMS[path.suffix](path, frames_per_second(env.env.metadata)) as film:
                    _episodes(agent, env, Screen(film), showing)
    except Exception as error:
        cause = error.__cause__ if isinstance(error, EnvironmentFailedError) else error
        if isinstance(cause, gym.error.DependencyNotInstalled) or type(cause).__module__.startswith("pygame"):
            raise ConfigError(f"{settings.id} cannot be drawn here: {' '.join(str(cause).split())}") from error
        raise
    return path


class Audience(ABC):
    """Shows episodes."""

    @abstractmethod
    def announce(self, number: int, count: int, seed: int) -> None:
        """Called after the reset of each episode."""

    @abstractmethod
    def show(self, env: EvalEnv, text: str, *, over: bool) -> None:
        """Show the environment as it is now."""


class Screen(Audience):
    """Films episodes."""

    def __init__(self, film: Film) -> None:
        self.film, self.frames = film, Frames()
        self.title = ""
        self.size: tuple[int, int] | None = None

    def announce(self, number: int, count: int, seed: int) -> None:
        self.title = f"episode {number} of {count}, seed {seed}" if count > 1 else ""

    def show(self, env: EvalEnv, text: str, *, over: bool) -> None:
        picture = env.render()
        if not isinstance(picture, np.ndarray):
            raise ConfigError(f"{env.name} cannot be filmed: its render() gave {type(picture).__name__}, not an array")
        image = self.frames.frame(picture, text, over=over)
        self.size = self.size or image.size
        if image.size != self.size:  # some environments change their picture's size
            image = image.resize(self.size, Image.Resampling.LANCZOS)
        if self.title:
            self.film.add(title(image, self.title), ANNOUNCE)
            self.title = ""
        self.film.add(image, HOLD if over else 1 / self.film.fps)


class Window(Audience):
    """Shows episodes in the environment's own window, at its own pace. Where the window is pygame's, its title has the
    figures."""

    def announce(self, number: int, count: int, seed: int) -> None:
        self.prefix = f"episode {number} of {count}   " if count > 1 else ""

    def show(self, env: EvalEnv, text: str, *, over: bool) -> None:
        pygame = sys.modules.get("pygame")
        if pygame is not None and pygame.display.get_init():
            # If the screen does not answer, SDL draws into memory and says nothing.
            if pygame.display.get_driver() in ("offscreen", "dummy") and "SDL_VIDEODRIVER" not in os.environ:
                raise ConfigError("the screen does not answer, so no window can be opened; -o FILE.gif films it")
            pygame.display.set_caption(self.prefix + text)
        if over:
            time.sleep(HOLD)


def _episodes(agent: Actor, env: EvalEnv, audience: Audience, showing: Showing) -> None:
    for number, seed in enumerate(showing.seeds, start=1):
        env.begin(seed)
        audience.announce(number, len(showing.seeds), seed)
        audience.show(env, caption(env.length, env.total), over=False)
        while not env.over:
            env.act(agent)
            audience.show(env, caption(env.length, env.total), over=env.over)
        showing.told(Episode(seed, env.total, env.length))


def _where(id: str, modes: Sequence[str], showing: Showing) -> Path | None:
    """Return the film to write, or None for a window."""
    output, otherwise = showing.output, showing.otherwise
    if output is not None:
        if output.suffix not in FILMS:
            raise ConfigError(f"a film ends in {' or '.join(FILMS)}, received {output}")
        if output.suffix == ".mp4":
            require_mp4()
        return output
    if showing.window and "human" not in modes:
        raise ConfigError(f"{id} has no window: its render modes are {modes}")
    if showing.window and not has_display():
        raise ConfigError("there is no screen for a window here (DISPLAY is not set); -o FILE.mp4 or FILE.gif films it")
    if "human" in modes and has_display():
        return None
    if has_mp4():
        return otherwise.with_name(otherwise.name + ".mp4")
    if "rgb_array" in modes:
        notice(f"writing a GIF; for an .mp4: {install('video')}")
    return otherwise.with_name(otherwise.name + ".gif")


def has_display() -> bool:
    """Whether a window can be opened."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
