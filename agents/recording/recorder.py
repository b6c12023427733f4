"""Records steps: what was seen, what was done, what came of it, and named numbers behind what was seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import metadata
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.continuous_mountain_car import Continuous_MountainCarEnv
from gymnasium.envs.classic_control.mountain_car import MountainCarEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.spaces import Box
from PIL import Image

from agents.environments.settings import EnvSettings
from agents.evaluation.env import Actor, EvalEnv
from agents.evaluation.episodes import episode_seeds
from agents.evaluation.frames import draw_into_memory
from agents.spaces.observations import stack
from lab.console.progress import Progress
from lab.errors import ConfigError
from lab.experiment.threads import thread_count
from lab.runs.summary import versions
from lab.system.memory import require_memory
from lab.tracking.redact import redact

Array = np.ndarray[Any, Any]
STATES: dict[type, tuple[str, ...]] = {
    CartPoleEnv: ("position", "velocity", "angle", "angular_velocity"),
    PendulumEnv: ("angle", "angular_velocity"),
    AcrobotEnv: ("angle", "second_angle", "angular_velocity", "second_angular_velocity"),
    MountainCarEnv: ("position", "velocity"),
    Continuous_MountainCarEnv: ("position", "velocity"),
}
"""What the numbers in an environment's `state` are, in metres, radians and seconds; of the classes and those made of
them."""
DRAWN_BY = ("pillow", "pygame", "pygame-ce")
MOST_STATES = 64  # numbers of an observation that count as states, where nobody has named any


class Source(NamedTuple):
    """An environment, and what acts in it.

    Args:
        settings: of the environment.
        actor: the agent; None for random actions.
        policy: what the description of the data set says of it.
    """

    settings: EnvSettings
    actor: Actor | None
    policy: dict[str, Any]


def record(
    source: Source, *, steps: int, seed: int, size: tuple[int, int] | None
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return so many steps by the names of `lab.data.own.episodes`, and what its description says of them.

    Args:
        source: the environment, and what acts in it.
        steps: in all; the last episode ends with them.
        seed: each episode has a seed that follows from it, for the environment and for random actions.
        size: height and width of the grey pictures that take the place of the observations; None for none.

    Everything follows from these on one kind of processor. Raises ConfigError where there is no picture, or no tensor,
    DataError where the steps do not fit into memory, EnvironmentFailedError.
    """
    settings = source.settings
    if size and not settings.renders():
        raise ConfigError(
            f"{settings.id} cannot be drawn as pictures: its render modes are {settings.render_modes()}; leave out "
            "--pixels to record its observations"
        )
    draw_into_memory()
    rows: dict[str, Array] = {}
    episodes = 0
    with (
        thread_count(1),
        closing(EvalEnv(settings, "rgb_array" if size else None)) as env,
        Progress("recording", steps, "steps") as progress,
    ):
        names, state = _states(env)
        env.over = True
        for step in range(steps):
            started = env.over
            if started:
                (number,) = episode_seeds(seed, f"collect {episodes}", 1)
                env.begin(number)
                env.env.action_space.seed(number)
                episodes += 1
            row = {"observations": _picture(env, size) if size else _vector_or_image(env)}
            if names:
                row["states"] = _wrapped(np.array(state(), np.float32), names)
            row["actions"] = _act(env, source)
            row["rewards"] = np.asarray(env.reward, np.float32)
            flags = {"starts": started, "terminations": env.terminated, "truncations": env.truncated}
            row |= {name: np.asarray(flag) for name, flag in flags.items()}
            if not rows:
                # Twice: the file is put together beside them.
                require_memory(
                    2 * steps * sum(one.nbytes for one in row.values()),
                    f"{steps:,} steps of {settings.id} need",
                    hint="record fewer with -n",
                )
                rows = {name: np.zeros((steps, *one.shape), one.dtype) for name, one in row.items()}
            for name, one in row.items():
                rows[name][step] = one
            progress.update(step + 1)
    return rows, {
        "environment": redact(
            {"id": settings.id, "kwargs": _plain(settings.kwargs), "wrappers": _names(settings.wrappers)}
        ),
        "policy": source.policy,
        "seed": seed,
        "count": steps,
        "episodes": episodes,
        "states": list(names),
        "versions": versions() | {name: version for name in DRAWN_BY if (version := _version(name))},
    }


def _act(env: EvalEnv, source: Source) -> Array:
    """Take a step, and return its action."""
    if source.actor is None:
        action = env.env.action_space.sample()
    else:
        actions, env.memory = source.actor.act(stack([env.observation]), env.memory)
        action = actions[0]
    taken = np.array(action)  # a copy: the environment may change it
    env.step(action)
    return taken.astype(np.float32 if taken.dtype.kind == "f" else np.int64)


def _picture(env: EvalEnv, size: tuple[int, int]) -> Array:
    """Return the environment's picture in grey, `(1, H, W)`, uint8: each pixel is the mean over its area."""
    try:
        drawn = env.render()
    except Exception as error:
        cause = error.__cause__
        if isinstance(cause, gym.error.DependencyNotInstalled):
            raise ConfigError(f"{env.name} cannot be drawn here: {' '.join(str(cause).split())}") from error
        raise
    if not (isinstance(drawn, np.ndarray) and drawn.dtype == np.uint8 and drawn.ndim in (2, 3)):
        raise ConfigError(f"{env.name} cannot be drawn: its render() gave {type(drawn).__name__}, not a picture")
    height, width = size
    grey = Image.fromarray(drawn).convert("L").resize((width, height), Image.Resampling.BOX)
    return np.asarray(grey)[None]


def _vector_or_image(env: EvalEnv) -> Array:
    """Return a copy of the observation, uint8 or float32: many environments write the next one into the same memory.
    Raises ConfigError where it is neither a vector nor an image."""
    seen, space = env.observation, env.env.observation_space
    if not isinstance(space, Box) or len(space.shape) not in (1, 3):
        raise ConfigError(
            f"{env.name} has observations of {type(space).__name__}{space.shape or ''}, and only vectors and images "
            "can be recorded; --pixels records its pictures"
        )
    return np.array(seen, np.uint8 if np.asarray(seen).dtype == np.uint8 else np.float32)


def _states(env: EvalEnv) -> tuple[tuple[str, ...], Callable[[], Any]]:
    """Return the names of the numbers behind an observation, none where nothing is known, and what gives them."""
    inner: Any = env.env.unwrapped
    if names := next((names for cls, names in STATES.items() if isinstance(inner, cls)), None):
        return names, lambda: inner.state
    space = env.env.observation_space
    if isinstance(space, Box) and len(space.shape) == 1 and space.shape[0] <= MOST_STATES:
        return tuple(f"observation_{i}" for i in range(space.shape[0])), lambda: env.observation
    return (), lambda: None


def _wrapped(state: Array, names: Sequence[str]) -> Array:
    """Return a state with angles from -pi to pi: one picture has one angle, however often it has turned."""
    turned = np.array([name.endswith("angle") for name in names]) & (np.abs(state) > np.pi)
    return np.where(turned, (state + np.pi) % (2 * np.pi) - np.pi, state).astype(np.float32)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _plain(values: Any) -> Any:
    """Return settings as JSON can hold them."""
    if isinstance(values, dict):
        return {str(key): _plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    return values if isinstance(values, str | int | float | bool | None) else str(values)


def _names(wrappers: Any) -> list[str]:
    """Return what each wrapper is called, with its settings."""
    told = []
    for wrapper in wrappers:
        cls, given = getattr(wrapper, "func", wrapper), getattr(wrapper, "keywords", {})
        inside = ", ".join(f"{name}={value}" for name, value in given.items())
        told.append(f"{cls.__module__}.{cls.__qualname__}({inside})")
    return told
