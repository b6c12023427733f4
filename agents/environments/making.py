"""Makes one environment with its wrappers, and says what is missing if that fails."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

from agents.environments.closing import close
from agents.environments.known import is_known, present_id
from agents.spaces.images import ChannelsFirst, has_channels_last
from lab.config.imports import require_importable
from lab.console.wording import install
from lab.errors import ConfigError
from lab.finders.modules import import_named
from lab.system.process import settings_as_found
from lab.system.randomness import kept_randomness

Wrapper = Callable[[gym.Env[Any, Any]], gym.Wrapper[Any, Any, Any, Any]]
"""How a config gives a wrapper: a class with settings, called with the environment."""

WRITERS = {"stable_baselines3.common.monitor.Monitor", "gymnasium.wrappers.rendering.RecordVideo"}
"""Wrappers that write files wherever a config says, which may be somebody else's."""

EXTRAS = {"box2d": "box2d", "ale_py": "atari", "opencv": "atari"}
"""Words in messages about a missing package, and the extra of the lab that installs it."""


def make_env(
    id: str, kwargs: Mapping[str, Any], wrappers: Sequence[Wrapper], render_mode: str | None
) -> gym.Env[Any, Any]:
    """Make one environment; images get their channels first. See `EnvSettings.make`.

    The global random generators and settings stay as they are: some environments seed or set them when they are made.
    """
    if module := present_id(id).rpartition(":")[0]:
        require_importable(module, "env.id")
    with settings_as_found(), kept_randomness():
        return _made(id, kwargs, wrappers, render_mode)


def _made(
    id: str, kwargs: Mapping[str, Any], wrappers: Sequence[Wrapper], render_mode: str | None
) -> gym.Env[Any, Any]:
    if "render_mode" in kwargs:
        raise ConfigError("env.kwargs must not hold render_mode: the lab chooses it when it films an episode")
    try:
        if (module := present_id(id).rpartition(":")[0]) and not is_known(module):
            import_named(module)  # it may be the user's own
        # Passed only if wanted: many environments of users take no render_mode.
        chosen: dict[str, Any] = {"render_mode": render_mode} if render_mode else {}
        env = gym.make(present_id(id), **chosen, **copy.deepcopy(dict(kwargs)))  # it may change them
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise ConfigError(_missing(id, error)) from error
    except Exception as error:  # an environment's own code may fail in any way
        raise ConfigError(
            f"environment {id} cannot be made with env.kwargs {dict(kwargs)}: {type(error).__name__}: {error}"
        ) from error
    for wrapper in wrappers:
        env = _wrapped(id, env, wrapper)
    return ChannelsFirst(env) if has_channels_last(env.observation_space) else env


def _wrapped(id: str, env: gym.Env[Any, Any], wrapper: Wrapper) -> gym.Env[Any, Any]:
    for name in _classes_of(wrapper) & WRITERS:
        raise ConfigError(f"env.wrappers: {name} writes files, also over others; the lab records episodes and films")
    try:
        wrapped = _own(wrapper)(env)
    except Exception as error:  # a wrapper's own code may fail in any way
        if remedy := _remedy(error):
            raise ConfigError(f"env.wrappers need a package that is not installed: {remedy}") from error
        raise ConfigError(f"env.wrappers around {id}: {type(error).__name__}: {error}") from error
    if isinstance(wrapped, NormalizeObservation | NormalizeReward):
        raise ConfigError(
            f"{type(wrapped).__name__} would keep statistics of its own in each copy, and none in checkpoints; "
            "set agent.normalize_observations or agent.normalize_rewards instead"
        )
    return wrapped


def _own(wrapper: Wrapper) -> Wrapper:
    """Return a wrapper whose settings no other copy of the environment shares: it may change them."""
    if isinstance(wrapper, partial):
        return partial(wrapper.func, *wrapper.args, **copy.deepcopy(wrapper.keywords))
    return wrapper


def _classes_of(wrapper: Wrapper) -> set[str]:
    """Return the dotted names of a wrapper's class and its bases; a config gives the class inside a partial."""
    inside = (wrapper.func, *wrapper.args) if isinstance(wrapper, partial) else (wrapper,)
    bases = [base for one in inside if isinstance(one, type) for base in one.__mro__]
    return {f"{base.__module__}.{base.__qualname__}" for base in bases}


def _missing(id: str, error: Exception) -> str:
    """Return a sentence on what `id` needs and is not there: the environment, its module, or a package."""
    module = present_id(id).rpartition(":")[0]
    absent = _absent_module(error)
    named = absent is not None and f"{module}.".startswith(f"{absent}.")
    if named and not any(name in module for name in EXTRAS):
        return f"unknown environment {id!r}; there is no module {absent!r}"
    if remedy := _remedy(error):
        return f"environment {id} needs a package that is not installed: {remedy}"
    if isinstance(error, gym.error.NamespaceNotFound):
        return f"unknown environment {id!r}; name the module that registers it as well, as in ale_py:ALE/Pong-v5"
    return f"unknown environment {id!r}{_nearest_id(id) or f' ({str(error).splitlines()[0]})'}"


VERSION = re.compile(r"-v\d+$")


def _nearest_id(id: str) -> str:
    """Return the hint "; did you mean 'x'?" for the newest environment whose name is close, its version aside: that two
    ids end with the same one makes them no more alike."""
    newest: dict[str, str] = {}
    for spec in sorted(gym.registry.values(), key=lambda spec: spec.version or 0):
        newest[VERSION.sub("", spec.id)] = spec.id
    close = difflib.get_close_matches(VERSION.sub("", id), newest, n=1)
    return f"; did you mean {newest[close[0]]!r}?" if close else ""


def _remedy(error: Exception) -> str | None:
    """Return how to install what `error` misses; None where it is about something else."""
    if not isinstance(error, gym.error.DependencyNotInstalled | ModuleNotFoundError):
        return None
    extra = next((extra for name, extra in EXTRAS.items() if name in str(error).lower()), None)
    if extra is not None:
        return install(extra)
    return str(error) if isinstance(error, gym.error.DependencyNotInstalled) else _absent_module(error)


def _absent_module(error: Exception) -> str | None:
    """Return the module that was not found. Gymnasium wraps the error where an id names a module."""
    inner = error if getattr(error, "name", None) else error.__cause__
    return inner.name if isinstance(inner, ModuleNotFoundError) else None


LIMITS = ("max_episode_steps", "_max_episode_steps", "max_steps", "episode_length", "max_episode_length", "horizon")
"""Attributes in which environments keep the number of steps after which they truncate an episode."""

TRIED_STEPS = 1_000
"""Steps in which an environment without a time limit is to truncate an episode."""


def own_limit(make: Callable[[], gym.Env[Any, Any]]) -> int | None:
    """Return after how many steps an environment truncates its episodes by itself, which Gymnasium's registry does not
    know; None where it does not seem to.

    It is the length of the first episode that is truncated in 1,000 steps with random actions. Where none is, it is the
    number that the environment has under a usual name, unless an episode was longer.
    """
    env, named = make(), None
    steps = longest = 0
    try:
        found = (getattr(env.unwrapped, name, None) for name in LIMITS)
        named = next((one for one in found if isinstance(one, int) and one > 0), None)
        with kept_randomness():
            env.action_space.seed(0)
            env.reset(seed=0)
            for _ in range(TRIED_STEPS):
                *_, terminated, truncated, _ = env.step(env.action_space.sample())
                steps += 1
                if truncated:
                    return steps
                longest = max(longest, steps)
                if terminated:
                    env.reset()
                    steps = 0
    except Exception:  # an environment's own code may fail in any way; the training says so
        return named
    finally:
        close(env)
    return named if named is not None and named > longest else None
