"""Reads the words of one command: its own options, and the settings that it hands on to the config."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from lab.cli.options import SHARED
from lab.errors import ConfigError, nearest

OVERRIDES = "Any other --a.b=value overrides a setting of the config; `lab show NAME --explain` says what each means."


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ConfigError for bad input.

    Args:
        name: of the command.
        summary: one line for its help.
        takes_overrides: whether words such as `--a.b=value` are settings of the config.
        epilog: last paragraph of its help.
    """

    def __init__(self, name: str, summary: str, *, takes_overrides: bool = False, epilog: str = "") -> None:
        closing = " ".join(part for part in (epilog, OVERRIDES if takes_overrides else "") if part)
        super().__init__(prog=f"lab {name}", description=summary, epilog=closing or None, allow_abbrev=False)
        self.command, self.takes_overrides = name, takes_overrides
        self.takes_dash: set[str] = set()
        """Options whose value may begin with a dash, as in `--sort -seed`."""

    @property
    def takes_experiment(self) -> bool:
        """Whether its first argument is an experiment."""
        return any(action.dest == "name" for action in self._actions)

    def overrides(self, words: Sequence[str]) -> list[str]:
        """Return the words that are settings of the config."""
        return self._separate(self._joined(words))[1]

    def read(self, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Return the options, and the overrides for the config: what is not an option of this command, and the
        values of --seed and --device, which are settings too. Raises ConfigError for anything that does not fit."""
        own, settings = self._separate(self._joined(words))
        options, unknown = self.parse_known_intermixed_args(own)
        if unknown:
            hint = nearest(unknown[0].partition("=")[0], self._option_string_actions)
            raise ConfigError(f"`{self.prog}` does not take {unknown[0]!r}{hint}")
        if self.takes_overrides:
            given = {name: getattr(options, name, None) for name in ("seed", "device")}
            settings += [f"--{name}={value}" for name, value in given.items() if value is not None]
        return options, settings

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see `{self.prog} --help`")

    def _joined(self, words: Sequence[str]) -> list[str]:
        """Join an option with a value that begins with a dash: argparse would take `-seed` for another option."""
        joined: list[str] = []
        for word in words:
            if joined and joined[-1] in self.takes_dash and word.startswith("-") and not word.startswith("--"):
                joined[-1] += f"={word}"
            else:
                joined.append(word)
        return joined

    def _separate(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Split the words into those of this command and those that are settings."""
        own: list[str] = []
        settings: list[str] = []
        value_follows = False
        for word in words:
            known = word.partition("=")[0] in self._option_string_actions
            if self.takes_overrides and word.startswith("--") and not known:
                self._refuse_slips(word)
                settings.append(word)
                value_follows = "=" not in word
            elif value_follows and not known:
                settings.append(word)
                value_follows = False
            else:
                own.append(word)
                value_follows = False
        return own, settings

    def _refuse_slips(self, word: str) -> None:
        """Raise ConfigError for a word that was meant as an option, not as a setting."""
        name, equals, _ = word.partition("=")
        if name == "--config":
            raise ConfigError("--config is not an option: name the file instead of the experiment, or use extends")
        if "_" in name and (option := name.replace("_", "-")) in SHARED:
            raise ConfigError(f"unknown option {word}; did you mean {option!r}?")
        if not equals and "." not in name:
            if word in SHARED:
                raise ConfigError(f"`{self.prog}` does not take {word}")
            if hint := nearest(word, SHARED):
                raise ConfigError(f"unknown option {word}{hint}")
