"""Writes docs/settings.md from the signatures and docstrings of the classes that configs name: `make docs`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import gymnasium
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from lab.cli.views.settings import value_text
from lab.config.classes import described, first_sentence
from lab.config.explained import REQUIRED, parameters, role_of, type_text
from lab.config.files import read
from lab.config.imports import import_class, public_name
from lab.config.listing import class_paths
from lab.config.roles import Roles
from lab.config.shipped import families, shipped
from lab.configuration import SHORT_NAMES, Common
from lab.data import DataModule
from lab.encoders import Encoder
from lab.training import Model

PAGE = Path(__file__).parent / "settings.md"
GIVEN: tuple[tuple[tuple[type, ...], set[str]], ...] = (
    ((Encoder, Model), {"spec"}),
    ((BaseAlgorithm,), {"env", "seed", "device"}),
    ((gymnasium.Wrapper,), {"env"}),
    ((torch.optim.Optimizer,), {"params"}),
)
"""Parameters that are no settings: the lab itself gives them to classes of these kinds."""
INTRODUCTION = """\
# The settings

Made by `make docs` from the signatures and docstrings of the classes; do not edit it here. `lab show NAME --explain`
says the same of one experiment, with the values that it has, and `lab show NAME --explain agent.gamma` of one setting.

A config names classes by `class_path` and gives their settings under `init_args`; see
[own.md](own.md#class_path-and-init_args). *default* is that of the class; the configs of the experiments have others.
A *role* says what a setting does besides belonging to the method: runs that differ in it are compared accordingly.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """What the page should contain."""
    text = INTRODUCTION + section("Settings of every experiment", Common)
    classes = list(named())
    kinds_named = kinds()
    experiments = [cls for cls in classes if public_name(cls) in kinds_named]
    groups = list(dict.fromkeys(group for cls in [Common, *classes] for group in groups_of(cls)))
    for title, members in (
        ("Kinds of experiments", experiments),
        ("Groups of settings", [one for one in groups if one not in classes]),
        ("Classes", [cls for cls in classes if cls not in experiments]),
    ):
        text += f"\n# {title}\n" + "".join(section(public_name(cls), cls) for cls in members)
    return text


def kinds() -> set[str]:
    """Dotted names of the kinds of experiments."""
    return {public_name(import_class(read(path)["experiment"], "experiment")) for path in shipped().values()}


def named() -> Iterator[type]:
    """The lab's classes that the configs name, and those that its packages hand out for them, by dotted name."""
    found: dict[str, type] = {}
    for path in shipped().values():
        config = read(path)
        for name in [config["experiment"], *class_paths(config)]:
            cls = import_class(name, name)
            found[public_name(cls)] = cls
    for package in SHORT_NAMES:
        module = importlib.import_module(package)
        for name in module.__all__:
            cls = getattr(module, name)
            if inspect.isclass(cls) and issubclass(cls, Encoder | DataModule) and not inspect.isabstract(cls):
                found[public_name(cls)] = cls
    own = {name: cls for name, cls in found.items() if name.startswith(("lab.", *families()))}
    yield from (own[name] for name in sorted(own))


def groups_of(cls: Any) -> Iterator[Any]:
    """The groups of settings inside a class, at any depth."""
    for hint, _ in parameters(cls).values():
        for group in groups_in(hint):
            yield group
            yield from groups_of(group)


def groups_in(hint: Any) -> list[Any]:
    """The dataclasses that a type mentions."""
    args = get_args(hint)
    if get_origin(hint) is Callable:
        args = args[-1:]  # what it returns; its arguments are no settings
    inner = [group for one in args for group in groups_in(one)]
    return [hint, *inner] if is_dataclass(hint) and hint.__module__.startswith(("lab.", *families())) else inner


def section(title: str, cls: Any) -> str:
    """One class with a table of its settings."""
    texts, roles = described(cls), Roles()
    for base in reversed(cls.__mro__):
        roles |= vars(base).get("roles", Roles())
    given = {name for bases, names in GIVEN if issubclass(cls, bases) for name in names}
    rows = ""
    for name, (hint, default) in parameters(cls).items():
        if name in given or hint in (None, inspect.Parameter.empty):
            continue
        kind = "; ".join([type_text(hint), *(f"see `{public_name(one)}`" for one in groups_in(hint))])
        shown = "" if default is REQUIRED else f"`{value_text(default)}`" if not is_dataclass(default) else "as there"
        cells = (f"`{name}`", kind, shown, role_of(roles, name), texts.get(name, ""))
        rows += f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"
    table = f"\n| setting | type | default | role | meaning |\n|---|---|---|---|---|\n{rows}" if rows else ""
    return f"\n## {title}\n\n{first_sentence(cls)}\n{table}"


if __name__ == "__main__":
    main()
