"""Settings with what they mean: two lines or more for each, as wide as the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from lab.config.explained import REQUIRED, Setting
from lab.console.plain import plain

INDENT = "    "


def settings_text(settings: Iterable[Setting], width: int) -> str:
    """Return each setting as `agent.gamma = 0.98`, with its type, default and role, and below it what it means."""
    return "\n".join(plain_line for one in settings for plain_line in _lines(one, width))


def _lines(one: Setting, width: int) -> Iterator[str]:
    yield plain(f"{one.key} = {value_text(one.value)}")
    facts = [one.type]
    if one.default is not REQUIRED:
        facts.append(f"default {value_text(one.default)}")
    if one.role:
        facts.append(one.role)
    for text in (one.text.replace("`", ""), f"({'; '.join(facts)})"):
        yield from textwrap.wrap(plain(text), width, initial_indent=INDENT, subsequent_indent=INDENT)


def value_text(value: Any) -> str:
    """Return a setting's value as a config has it; a class by its path."""
    if value is None:
        return "null"
    if value is REQUIRED:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value) if value != "" else "''"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        path = value.get("class_path")
        if isinstance(path, str):
            return path
        return f"{{{', '.join(f'{name}: {value_text(one)}' for name, one in value.items())}}}"
    return getattr(value, "__name__", None) or repr(value)
