"""The environments that somebody else's config may name: Gymnasium's own, Atari games, and the lab's."""

from __future__ import annotations

import importlib

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, find_highest_version, get_env_id, parse_env_id

from lab.config.imports import present_name
from lab.errors import ConfigError
from lab.trust.classes import is_ours

OTHERS = ("gymnasium.envs", "ale_py")
"""Modules of environments that touch nothing outside."""


def present_id(id: str) -> str:
    """Return the id with the module before its colon under its present name."""
    module, colon, name = id.rpartition(":")
    return f"{present_name(module)}:{name}" if colon else id


def refused_id(id: str) -> str | None:
    """Return why somebody else's config may not name an environment, as the end of a sentence; None if it may.

    A module is imported only if it is on the list.
    """
    stranger = f"names {id}, which is no environment of Gymnasium, ale_py or the lab"
    if not isinstance(id, str):
        return stranger
    named = present_id(id)
    module, colon, _ = named.rpartition(":")
    if colon and not is_known(module):
        return stranger
    try:
        spec = _found_by_make(named)
    except (gym.error.Error, ImportError, ConfigError):  # said better where the environment is made
        return None
    if spec is None:  # as well
        return None
    entries = (spec.entry_point, spec.vector_entry_point)
    return None if all(is_known(_module(one)) for one in entries if one is not None) else stranger


def _found_by_make(id: str) -> EnvSpec | None:
    """Return what `gym.make` takes for an id, which `gym.spec` does not tell: where the id names a module, what is
    registered when that is imported, and where it names no version, the newest. None where there is nothing."""
    module, colon, name = id.rpartition(":")
    if colon:
        importlib.import_module(module)
    namespace, inner, version = parse_env_id(name)
    newest = find_highest_version(namespace, inner) if version is None else None
    return gym.registry.get(name if newest is None else get_env_id(namespace, inner, newest))


def _module(entry: object) -> str:
    """Return the module of an entry point: the text before the colon, or where a function comes from."""
    return entry.partition(":")[0] if isinstance(entry, str) else str(getattr(entry, "__module__", ""))


def is_known(module: str) -> bool:
    """Whether a module is the lab's or Gymnasium's own, or one of Atari's, which may not be installed."""
    return is_ours(module) or any(f"{module}.".startswith(f"{other}.") for other in OTHERS)
