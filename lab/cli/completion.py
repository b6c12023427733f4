"""Completion in the shell: commands, options, experiments, runs and settings (argcomplete speaks with the shell)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from glob import escape, glob
from pathlib import Path
from typing import Any

from lab.cli.find import commands, load
from lab.cli.parser import Parser
from lab.config.files import read
from lab.config.shipped import shipped
from lab.console.wording import install
from lab.errors import ConfigError, LabError

ASKED = "_ARGCOMPLETE"
"""Variable by which the shell asks for completions."""
SHELLS = ("bash", "zsh", "fish")
MOST_RUNS = 200  # newest ones that are offered
COMPINIT = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"
"""Loads zsh's own completion, which many a `.zshrc` does not do."""

Complete = Callable[..., Sequence[str]]
"""Returns the names that begin with a prefix."""


def script(words: Sequence[str]) -> str:
    """Return the code that a shell runs once. Raises ConfigError for another shell, or where argcomplete is missing."""
    if len(words) != 1 or words[0] not in SHELLS:
        raise ConfigError(f"expected `lab completion` with one of {', '.join(SHELLS)}, received {' '.join(words)!r}")
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError as error:
        raise ConfigError(f"completion needs the extra completion: {install('completion')}") from error
    return (COMPINIT if words[0] == "zsh" else "") + str(shellcode(["lab"], shell=words[0]))


def complete() -> None:
    """Answer the shell, and end the process; nothing where argcomplete is missing."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    line = os.environ.get("COMP_LINE", "").split()
    whole = argparse.ArgumentParser(prog="lab")
    made: Any = _parser  # argparse calls it as it would call a class of parsers
    parsers = whole.add_subparsers(parser_class=made)
    for room in commands().values():
        for name, module in room.items():
            if name in line[1:2] or len(line) < 3:
                _fill(parsers.add_parser(name, summary=load(module).summary), module, line[2:])
    argcomplete.autocomplete(whole, always_complete_options=False)


def _parser(prog: str, summary: str) -> Parser:
    return Parser(prog.rpartition(" ")[2], summary)


def _fill(parser: Any, module: str, line: Sequence[str]) -> None:
    """Give the parser its command's options, the settings of the experiment in the line, and what completes names."""
    command = load(module)
    command.add_options(parser)
    if command.takes_overrides:
        for key in sorted(_settings(line)):
            if f"--{key}" not in parser._option_string_actions:
                parser.add_argument(f"--{key}")
    for action in parser._actions:
        if not action.option_strings and action.metavar:
            action.completer = _completer([NAMES[word] for word in action.metavar.split("|") if word in NAMES])


def _completer(ways: Sequence[Complete]) -> Complete:
    return lambda prefix, **told: [name for way in ways for name in way(prefix, **told)]


def _settings(line: Sequence[str]) -> set[str]:
    """Return the dotted names of the settings that the config of the experiment in the line has."""
    from lab.trust.origin import is_strangers

    found: set[str] = set()
    for name in line:
        path = shipped().get(name, Path(name))
        if path.suffix == ".yaml" and path.is_file():
            with suppress(ConfigError):
                _collect(read(path, is_strangers=is_strangers), "", found)
    return found


def _collect(values: Any, key: str, found: set[str]) -> None:
    for name, value in values.items():
        if name in ("class_path", "reference", "target", "experiment"):
            continue
        inner = key if name == "init_args" else f"{key}.{name}".lstrip(".")
        if isinstance(value, dict):
            _collect(value, inner, found)
        elif inner:
            found.add(inner)


def _experiments(prefix: str, **_: Any) -> list[str]:
    return [name for name in shipped() if name.startswith(prefix)]


def _configs(prefix: str, **_: Any) -> list[str]:
    return glob(f"{escape(prefix)}*.yaml")


def _files(prefix: str, **_: Any) -> list[str]:
    from argcomplete.completers import FilesCompleter

    return list(FilesCompleter()(prefix))


def _data_sets(prefix: str, **_: Any) -> list[str]:
    from lab.data.catalog import entries

    return [name for name in entries() if name.startswith(prefix)]


def _runs(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    from lab.runs.summary import runs_folder

    try:
        folders = list(runs_folder(getattr(parsed_args, "runs_dir", None)).glob("*/*/summary.json"))
    except (LabError, OSError):
        return []
    newest = sorted({path.parent.name for path in folders}, reverse=True)[:MOST_RUNS]
    names = {path.parent.parent.name for path in folders}
    return [name for name in (*sorted(names), *newest) if name.startswith(prefix)]


NAMES: dict[str, Complete] = {
    "NAME": _experiments,
    "FILE.yaml": _configs,
    "RUN": _runs,
    "DATA": _data_sets,
    "PATH": _files,
}
"""What completes an argument, by the words of its placeholder in the help: `NAME|FILE.yaml|RUN`."""
