"""The environments that somebody else's config may name: Gymnasium's own, Atari games, and the lab's."""

from __future__ import annotations

import gymnasium as gym

from agents.environments.making import present_id
from lab.errors import ConfigError
from lab.trust.classes import is_ours

OTHERS = ("gymnasium.envs", "ale_py")
"""Modules of environments that touch nothing outside."""


def refused_id(id: str) -> str | None:
    """Return why somebody else's config may not name an environment, as the end of a sentence; None if it may.

    A module is imported only if it is on the list.
    """
    stranger = f"names {id}, which is no environment of Gymnasium, ale_py or the lab"
    if not isinstance(id, str):
        return stranger
    named = present_id(id)
    module, colon, _ = named.rpartition(":")
    if colon and not _is_known(module):
        return stranger
    try:
        spec = gym.spec(named)
    except (gym.error.Error, ImportError, ConfigError):  # said better where the environment is made
        return None
    entries = (spec.entry_point, spec.vector_entry_point)
    return None if all(_is_known(_module(one)) for one in entries if one is not None) else stranger


def _module(entry: object) -> str:
    """Return the module of an entry point: the text before the colon, or where a function comes from."""
    return entry.partition(":")[0] if isinstance(entry, str) else str(getattr(entry, "__module__", ""))


def _is_known(module: str) -> bool:
    return is_ours(module) or any(f"{module}.".startswith(f"{other}.") for other in OTHERS)
