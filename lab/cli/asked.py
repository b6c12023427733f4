"""Questions about settings, in the words that people know from other programs: `lab run NAME --help`, `--agent.help`,
`--print_config`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from lab.cli.output import loading, print_lines, print_yaml, stdout
from lab.cli.parser import Parser
from lab.config.shipped import shipped
from lab.errors import ConfigError, nearest

HELP = ("-h", "--help")
CONFIG = ("--print_config", "--print-config")


def answered(parser: Parser, words: Sequence[str]) -> bool:
    """Answer a question about the settings of the experiment that the words name. Return whether there was one."""
    if not (parser.takes_overrides and parser.takes_experiment):
        return False
    name = next((word for word in words if word in shipped() or word.endswith((".yaml", ".yml"))), None)
    groups = [word for word in words if word.startswith("--") and word.partition("=")[0].endswith(".help")]
    whole = any(word in HELP for word in words)
    config = any(word in CONFIG for word in words)
    if name is None or not (groups or whole or config):
        return False
    overrides = parser.overrides([word for word in words if word not in (*HELP, *CONFIG, *groups)])
    loading(name)
    if config:
        from lab.configuration import load

        print_yaml(load(name, overrides).as_dict())
        return True
    if whole:
        parser.print_help()
        print_lines(f"\nsettings of {name}:")
        explain(name, overrides, "")
    for word in groups:
        key, _, chosen = word[2:].partition("=")
        key = key.removesuffix(".help")
        explain(name, [*overrides, *([f"--{key}={chosen}"] if chosen else [])], key)
    return True


def explain(name: str, overrides: Sequence[str], asked: str) -> None:
    """Print what settings mean: all, one, those of a group, or all whose name ends so. Raises ConfigError for none."""
    from lab.cli.views.settings import settings_text
    from lab.config.explained import explained
    from lab.configuration import COMMON, Common, load

    config = load(name, overrides)
    values, roles = config.as_dict(), config.roles()
    common = {key: values.pop(key) for key in COMMON}
    parts = ((config.experiment, values), (Common, common))
    found = list(chain.from_iterable(explained(cls, settings, roles, asked=asked) for cls, settings in parts))
    chosen = [one for one in found if one.key == asked or one.key.startswith(f"{asked}.") or not asked]
    chosen = chosen or [one for one in found if one.key.endswith(f".{asked}")]
    if not chosen:
        known = {one.key for one in found} | {one.key.rpartition(".")[2] for one in found}
        raise ConfigError(f"{name} has no setting {asked!r}{nearest(asked, known) or '; `lab show NAME` prints all'}")
    print_lines(settings_text(chosen, stdout().width))
