"""Somebody else's config, while it is read: what it may not say is refused before anything is imported or built."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from jsonargparse import _common

from lab.config.classes import inside, named_classes
from lab.config.explained import takes_class
from lab.config.files import read
from lab.config.imports import import_class, import_from_here, permitted
from lab.config.shipped import families
from lab.console.wording import near, word
from lab.errors import ConfigError
from lab.finders.modules import refuse_foreign_code, within_run
from lab.trust.classes import OTHERS, is_listed, refused
from lab.trust.origin import in_detail, is_strangers
from lab.trust.settings import wrong_settings


def read_as(
    trust: bool | None, path: Path, given: Mapping[str, Any], declared: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], Stranger | None]:
    """Return a config with all that it extends, and whose it is; None for the user's own, which may name classes in the
    working directory. Of somebody else's, the user's overrides alone may.

    Args:
        trust: whether it is the user's own; None to go by where it lies and by its signature.
        path: of the file.
        given: the user's overrides, by dotted name.
        declared: see `lab.config.files.read`.
    """
    strange: list[Path] = []

    def judged(file: Path, content: bytes) -> bool:
        if found := is_strangers(file, content) if trust is None else not trust:
            strange.append(file)
        return found

    refuse_foreign_code()
    values = read(path, (), declared, judged)
    if not strange or given:  # of somebody else's, nothing in the working directory is named but by the overrides
        import_from_here()
    return values, Stranger(strange[0], given) if strange else None


DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
"""Words that may name a class."""
BY_NAME = {f"{kind}.{part}" for kind in ("reference", "target") for part in ("requires", "mean_over", "lengths")}
"""Settings that are about others, which they have by dotted name."""


@dataclass(frozen=True)
class Stranger:
    """A config file that is not signed as this user's.

    Args:
        file: the file.
        mine: settings that this user gave, by dotted name, and their values; they may be anything. A name that ends in
            `+` adds to what the file has.
    """

    file: Path
    mine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        """The run's folder, or the file where it is not the config of a run."""
        return self.file.parent if self.file.name == "config.yaml" else self.file

    @property
    def places(self) -> list[Path]:
        """Folders from which it may take artifacts: its own and that of all its runs."""
        folder = self.file.parent
        return [folder, folder.parent.parent] if self.file.name == "config.yaml" else [folder]

    def require_experiment(self, class_path: Any) -> None:
        """Raise ConfigError where `experiment` names a class that is not on the list."""
        if isinstance(class_path, str) and (why := refused(class_path)):
            raise self.refusal("experiment", why)

    def require_settings(self, owners: Iterable[type], values: Mapping[str, Any], *, merged: bool = False) -> None:
        """Raise ConfigError where settings name a class or a path that they may not name.

        Args:
            owners: classes that have these settings: what all experiments have, and the experiment.
            values: settings as plain values.
            merged: whether the user's overrides lie over them; what they gave is left out then. Before, a class in the
                file is refused even where an override will take its place: the file's classes are imported first.
        """
        for key in _mistakable(values):
            raise self.refusal(key, "is no name of one setting")
        for key, named in named_classes(values):  # wherever one stands, whatever the types say
            if (why := refused(named["class_path"])) and not (merged and self._is_mine(key)):
                raise self.refusal(key, why)
        left = dict(values)
        for owner in (*owners, object):
            known = left if owner is object else signature(owner).parameters
            settings = {name: left.pop(name) for name in list(known) if name in left}
            for key, why in wrong_settings(owner, settings, self.places):
                if not (self._is_mine(key) if merged else key in self.mine):  # another path takes its place
                    raise self.refusal(key, why)

    def require_artifact(self, key: str, folder: Path, runs: Path | None = None) -> None:
        """Raise ConfigError where an artifact is not in a run of his folder of runs, or lies behind a link.

        `runs` is the reader's folder of runs, for an artifact that the config names by a run's name or id.
        """
        real, places = folder.resolve(), [*self.places, *([runs] if runs else [])]
        his = within_run(real) and any(real.is_relative_to(place.resolve()) for place in places)
        if not (his or self._is_mine(key)):
            raise self.refusal(key, f"is {folder}, which lies outside its folder of runs")

    @contextmanager
    def reading(self, experiment: type, values: Mapping[str, Any]) -> Iterator[None]:
        """While the parser reads and words its errors, let nothing be imported but modules on the list, and what the
        user's own overrides name where a class may stand.

        Args:
            experiment: class of the experiment.
            values: its settings in this file.

        This is a second lock: `require_settings` lets no text stand where a class is expected. The parser's own
        `set_parsing_settings` only adds to what may be imported, and its addition would last.
        """
        words = set(self._classes(experiment, values))
        found = {word: module for word in words if (module := _module_of(word))}
        roots = {name.partition(".")[0] for word, module in found.items() for name in (word, module.__name__)}
        allowed = dict.fromkeys(["lab", *families(), *OTHERS, *roots], True)
        before = _common.parsing_settings["import_path_verdicts"]
        _common.parsing_settings["import_path_verdicts"] = {"*": False, **allowed}
        token = permitted.set(lambda path: is_listed(path) or path in words)
        try:
            yield
        finally:
            permitted.reset(token)
            _common.parsing_settings["import_path_verdicts"] = before

    def _classes(self, experiment: type, values: Mapping[str, Any]) -> Iterator[str]:
        """Yield the dotted names of classes that the user's overrides give, where a class may stand."""
        for key, text in _texts(self.mine):
            place = key.removesuffix(".class_path").removesuffix("+")
            if DOTTED.fullmatch(text) and takes_class(experiment, values, place):
                yield text

    def _is_mine(self, key: str) -> bool:
        return any(
            f"{key}.".startswith(f"{given.removesuffix('+').removesuffix('.class_path')}.") for given in self.mine
        )

    def refusal(self, key: str, why: str) -> ConfigError:
        """Return the error for one setting."""
        return ConfigError(
            f"{near(self.file)} is not signed as yours{in_detail(self.file)}, and its {key} {why}; if you trust it, "
            f"--trust opens it this once and `lab trust {word(near(self.run))}` signs it as yours"
        )


def _mistakable(values: Any, key: str = "") -> Iterator[str]:
    """Yield settings whose names the parser reads as others: `agent.class_path` is one of the agent's, `wrappers+` adds
    to the wrappers, and `config` loads a file."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            place = inside(key, str(name))
            if key not in BY_NAME and ("." in str(name) or str(name).endswith("+") or place == "config"):
                yield place
            yield from _mistakable(value, place)
    elif isinstance(values, list):
        for value in values:
            yield from _mistakable(value, key)


def _texts(values: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text among settings, with its dotted name."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _texts(value, inside(key, str(name)))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _texts(value, key)
    elif isinstance(values, str):
        yield key.replace(".init_args", ""), values


def _module_of(word: str) -> ModuleType | None:
    """Return the module that defines a class which the user named; None for any other word."""
    if not word.rpartition(".")[2][:1].isupper():
        return None
    try:
        found = import_class(word, "an override")
    except ConfigError:
        return None
    return sys.modules.get(found.__module__) if isinstance(found, type) else None
