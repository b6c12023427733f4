"""Reads a config file and overrides, and returns a checked config.

The key `experiment` names a subclass of Experiment; the parameters of its constructor are the settings.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import Any, ClassVar

from jsonargparse import Namespace, set_parsing_settings

from lab.config.classes import known_keys, named_classes, overridden, require_class, require_given_classes
from lab.config.explained import classes_for
from lab.config.files import find, setting
from lab.config.imports import import_class, import_handed_out, present_name, public_name
from lab.config.messages import explain
from lab.config.parsed import (
    FILE,
    MODE,
    dotted,
    reading,
    refuse_callables,
    register,
    replace_classes,
    require_groups,
    settings,
)
from lab.config.parser import Parser
from lab.config.roles import Roles, roles_of
from lab.config.types import PositiveInt, Seed
from lab.config.values import unmarked
from lab.config.words import as_words, in_full, joined, may_name_class, present, short_names
from lab.errors import ConfigError
from lab.experiment import Experiment
from lab.runs.reference import Reference, Target
from lab.saving.saver import CheckpointSettings
from lab.system.devices import Device
from lab.system.files import is_name
from lab.system.lazy import uncollected
from lab.trust.stranger import Stranger, read_as
from lab.trust.variables import resolved

# A config may come from somebody else: it names no class of Python's standard library, some of which execute commands
# or code, and none where plain values are expected, as in env.kwargs.
register()
set_parsing_settings(import_path_denylist=sorted(sys.stdlib_module_names), instantiate_subclass_spec_in_any=False)


@dataclass(frozen=True)
class Common:
    """Settings that every experiment has.

    Args:
        name: of the experiment; by default its file's name.
        description: one line for `lab list`.
        seed: of everything random in the run.
        device: `auto` takes CUDA, then MPS, then the CPU.
        threads: CPU threads for torch; null takes the fastest number by a measurement of a second where a training is
            long, and torch's own choice elsewhere.
        checkpoint: how often the run saves itself.
        reference: the published figure that the run is measured against.
        target: our own figure that it is measured against.
    """

    name: str = ""
    description: str = ""
    seed: Seed = 0
    device: Device = "auto"
    threads: PositiveInt | None = None
    checkpoint: CheckpointSettings = field(default_factory=CheckpointSettings)
    reference: Reference | None = None
    target: Target | None = None

    roles: ClassVar[Roles] = Roles(
        repeats=("seed",),
        indifferent=("name", "description", "device", "threads", "checkpoint", "reference", "target"),
    )


SHORT_NAMES = ("lab.encoders", "lab.data")
"""Packages whose classes may be named without their path: `--model.encoder=Conv`."""

CPUS = os.cpu_count() or 1
COMMON = tuple(field.name for field in fields(Common))


class Config:
    """A checked config: what the run will do, before anything has been built."""

    def __init__(
        self,
        parser: Parser,
        values: Namespace,
        experiment: type[Experiment],
        stranger: Stranger | None = None,
    ) -> None:
        self.parser, self.values, self.experiment = parser, values, experiment
        self.stranger = stranger
        """Whose config it is, where it is not this user's."""
        self.notes: list[str] = []
        """Notes for the user about the overrides; printed when everything has been checked."""
        self.variables: dict[str, str | None] = {}
        """Variables of the environment that settings name, `${env:NAME}`, and their values; None for one not set."""
        if stranger is not None:  # once more: the parser may have made a class or a path of a text, or added a default
            merged = {**self.as_dict(), "experiment": None}
            stranger.require_settings((Common, experiment), merged, merged=True)
        self.instantiate({})

    def instantiate(self, replacements: Mapping[str, Any]) -> None:
        """Turn the classes that the config names into factories. No weights, data or environments are created.

        Args:
            replacements: values to use instead of the recorded ones, by dotted name with `init_args`.
        """
        values = self.values.clone()
        for place, value in replacements.items():
            values[place] = value
        if self.stranger is None:
            values = resolved(values, self.variables)
        try:
            self._built = unmarked(vars(self.parser.instantiate(values)))
        except (ValueError, TypeError) as error:  # a class refused its settings
            raise ConfigError(str(error.__cause__ or error).splitlines()[0]) from error

    @property
    def common(self) -> Common:
        """The settings that the runner itself reads."""
        return Common(**{key: self._built[key] for key in COMMON})

    def build(self) -> Experiment:
        """Return the experiment, not yet prepared. Raises ConfigError when its own settings contradict each other, or
        name a variable of the environment that is not set."""
        if missing := [name for name, value in self.variables.items() if value is None]:
            raise ConfigError(f"the config names ${{env:{missing[0]}}}, but no variable {missing[0]} is set")
        return self.experiment(**{key: value for key, value in self._built.items() if key not in COMMON})

    def as_dict(self) -> dict[str, Any]:
        """Return all settings as plain values, nulls included. Written as YAML, they repeat the run."""
        return {"experiment": public_name(self.experiment), **settings(self.values)}

    def record(self, place: str, value: Any) -> None:
        """Change a setting in the recorded config, by dotted name with `init_args`. What was built stays as it is."""
        self.values[place] = value

    def roles(self) -> Roles:
        """Return the roles of all settings by dotted name, as declared by the classes that the config names."""
        return Common.roles | roles_of(self.experiment, self.as_dict())


ODD_VALUES = (argparse.ArgumentError, TypeError, ValueError, OverflowError, KeyError, AttributeError, ImportError)
"""jsonargparse raises ArgumentError for what it foresees; odd values make it raise the others."""


def load(name: str, overrides: Mapping[str, Any] | Sequence[str] = (), *, trust: bool | None = None) -> Config:
    """Return the config of the experiment `name`, or of the YAML file at that path, with the overrides applied.

    Args:
        overrides: a mapping of dotted names to values, or command-line words (`--a.b=c`).
        trust: whether the file is the user's own. Somebody else's may only name classes of the lab. None: a file that
            belongs to a run or lies among runs is the user's own if it is signed; any other is.

    Raises ConfigError if a key, a value or a class is wrong.
    """
    path = find(name)
    declared: dict[str, dict[str, Any]] = {}
    overrides = present(overrides)
    mine = overrides if isinstance(overrides, Mapping) else overridden(overrides, marked=True)
    values, stranger = read_as(trust, path, mine, declared)
    values.setdefault("name", path.resolve().stem)
    if isinstance(threads := values.get("threads"), int) and threads > CPUS and (path.parent / "summary.json").exists():
        values["threads"] = None  # a run of a larger machine can still be evaluated here
    named = values.pop("experiment", None)
    if stranger is not None:
        stranger.require_experiment(named)
    with uncollected():
        cls = import_class(named, f"experiment in {path}")
    if not (isinstance(cls, type) and issubclass(cls, Experiment)):
        raise ConfigError(f"experiment in {path} must be the dotted path of an Experiment class, received {named!r}")
    if stranger is not None:  # before a class in it is imported
        stranger.require_settings((Common, cls), values)
    for kind in (Reference.kind, Target.kind):
        if isinstance(values.get(kind), dict):
            lengths = {name: setting(declared[kind], name) for name in getattr(cls, "lengths", ())}
            values[kind] = {"lengths": lengths, **values[kind]}
    with uncollected():
        for key, named_class in named_classes(values):
            named_class["class_path"] = present_name(named_class["class_path"])
            require_class(named_class["class_path"], key)
        for package in SHORT_NAMES:
            import_handed_out(package)
    words = joined(as_words(overrides, cls, values) if isinstance(overrides, Mapping) else overrides)
    top = {*COMMON, *inspect.signature(cls).parameters}
    parser = _parser(cls)

    def parse(words: Sequence[str]) -> Namespace:
        given = overridden(words)
        require_given_classes(given)
        with stranger.reading(cls, values) if stranger else nullcontext():
            try:
                with reading(values):
                    parsed = parser.parse_args(["--config", FILE, *words])
            except ODD_VALUES as error:
                known = partial(classes_for, cls, values)
                raise ConfigError(
                    explain(error, top, known_keys((Common, cls), values), {**values, **given}, known)
                ) from error
        parsed.pop("config")
        refuse_callables(parsed)
        for owner in (Common, cls):
            require_groups(owner, parsed)
        return parsed

    notes: list[str] = []
    if short := short_names(words, top):  # as in --gamma=0.9
        others = parse([word for word in words if not short_names([word], top)])
        words, notes = in_full(words, short, list(dotted(others)))
    parsed = parse(words)
    replaced = False
    if may_name_class(overridden(words)):
        replaced, lost = replace_classes(values, parse(()), parsed)
        notes += lost
    config = Config(parser, parse(words) if replaced else parsed, cls, stranger)
    config.notes = notes
    if not (isinstance(config.common.name, str) and is_name(config.common.name)):  # it may be null
        raise ConfigError(f"name must be one folder's name, received {config.common.name!r}")
    return config


@cache
def _parser(cls: type[Experiment]) -> Parser:
    """Return what reads the settings of a class of experiments. Making it takes a fifth of the time of reading."""
    parser = Parser(exit_on_error=False, add_help=False, allow_abbrev=False, parser_mode=MODE)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Common, None)
    parser.add_class_arguments(cls, None)
    return parser
