"""Overrides as words of a command line: `--a.b=value`, or `--a.b value`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lab.config.classes import takes_anything
from lab.config.values import plain, utf8
from lab.config.values import word as as_word
from lab.errors import ConfigError
from lab.moved import SETTINGS


def as_words(overrides: Mapping[str, Any], cls: type, values: dict[str, Any]) -> list[str]:
    """Return what Python gave for settings as words of the command line. Raises ConfigError for what none can be.

    Args:
        overrides: dotted settings and their values.
        cls: class of the experiment.
        values: its config. A text stays one where a setting in it takes anything.
    """
    words = []
    for key, given in overrides.items():
        value = plain(given, key)
        is_word = isinstance(value, str) and not takes_anything(cls, values, key)
        words.append(f"--{key}={value if is_word else as_word(value)}")
    return words


def joined(words: Sequence[str]) -> list[str]:
    """Return the words with `=` between each name and its value. Raises ConfigError for one that is not UTF-8."""
    found: list[str] = []
    for word in map(utf8, words):
        if found and not word.startswith("--") and found[-1].startswith("--") and "=" not in found[-1]:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def present(overrides: Mapping[str, Any] | Sequence[str]) -> Mapping[str, Any] | list[str]:
    """Return overrides, words as `joined` has them, with the present names of settings that had another one before."""
    if isinstance(overrides, Mapping):
        return {SETTINGS.get(key, key): value for key, value in overrides.items()}
    found = []
    for word in joined(overrides):
        name, equals, value = word.partition("=")
        found.append(f"--{SETTINGS.get(name[2:], name[2:])}{equals}{value}" if name.startswith("--") else word)
    return found


def short_names(words: Sequence[str], top: Collection[str]) -> list[str]:
    """Return the names among joined words that have no dot and are no setting of the experiment itself: `gamma`."""
    names = (word.partition("=")[0][2:].removesuffix("+") for word in words if word.startswith("--"))
    return [name for name in names if name and "." not in name and name not in top]


def in_full(words: Sequence[str], short: Collection[str], settings: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the words with the full names of settings that were named by their last part alone, and a note for each.

    Args:
        words: joined ones.
        short: names that stand for a setting by its last part.
        settings: dotted names of all settings.

    Raises ConfigError for a name that several settings end with.
    """
    found, notes = list(words), []
    for name in short:
        full = [one for one in settings if one.rpartition(".")[2] == name]
        if len(full) > 1:
            raise ConfigError(f"--{name} may be {' or '.join(f'--{one}' for one in full)}: write one of them in full")
        if full:
            found = [
                f"--{full[0]}{word[2 + len(name) :]}" if word[2:].partition("=")[0].removesuffix("+") == name else word
                for word in found
            ]
            notes.append(f"--{name} is {full[0]}")
    return found, notes


def may_name_class(value: Any) -> bool:
    """Whether a class may be named in the values of overrides: a name has a dot or a capital letter."""
    if isinstance(value, dict | list):
        return any(map(may_name_class, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and ("." in value or not value.islower())
