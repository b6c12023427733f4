"""YAML as plain values: texts, numbers, lists and mappings. What a run holds may be somebody else's and is bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from lab.config.values import Loader

MOST_DEPTH = 64
MOST_PARTS = 100_000
MOST_BITS = 10_000  # of a whole number: longer ones cannot be printed
MOST_LETTERS = 1_000_000  # of one text
WHOLE = re.compile(r"^(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$")
"""What is a whole number, as in YAML 1.2: no base 60, no octal number that looks like a decimal one."""
PLAIN = (str, int, float, bool, type(None))


class Bounded(Loader):
    """Reads the configs that the lab writes."""

    yaml_implicit_resolvers = {
        first: [(tag, WHOLE if tag.endswith(":int") else pattern) for tag, pattern in found]
        for first, found in Loader.yaml_implicit_resolvers.items()
    }


class NotPlainError(ValueError):
    """A text is no YAML, or not of the plain kind. Its message is the end of a sentence."""


def parse(content: bytes, *, bounded: bool) -> Any:
    """Return what a YAML file holds.

    Args:
        content: its bytes, in UTF-8.
        bounded: whether it must be as the lab writes configs: without aliases, which let a few lines mean billions of
            values, not deeper than 64 levels, and made of numbers, lists, mappings and texts of a million characters
            at most.

    Raises NotPlainError.
    """
    try:
        text = content.decode("utf-8")
        if bounded:
            _require_bounded(text)
        values = yaml.load(text, Loader=Bounded if bounded else Loader)  # noqa: S506  # SafeLoaders
    except UnicodeDecodeError as error:
        raise NotPlainError(f"is not in UTF-8: {error}") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise NotPlainError(f"is not valid YAML{line}: {getattr(error, 'problem', None) or error}") from error
    except (ValueError, TypeError, OverflowError, RecursionError, AttributeError) as error:  # as for a 30th of February
        raise NotPlainError(f"holds a value that cannot be read: {error}") from error
    if bounded:
        _require_plain(values)
    return values


def _require_bounded(text: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=Loader)):
        if isinstance(event, yaml.AliasEvent):
            raise NotPlainError("has an alias (*name), and a run's config has none")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MOST_LETTERS:
            raise NotPlainError(f"has a text of {len(event.value):,} characters, and at most {MOST_LETTERS:,} are read")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH or count > MOST_PARTS:
            raise NotPlainError(f"is deeper than {MOST_DEPTH} levels, or has more than {MOST_PARTS:,} parts")


def _require_plain(value: Any) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise NotPlainError(f"has the key {name!r}, expected a text")
            _require_plain(inner)
    elif isinstance(value, list):
        for inner in value:
            _require_plain(inner)
    elif isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise NotPlainError(f"holds a number of {value.bit_length():,} bits")
    elif not isinstance(value, PLAIN):
        raise NotPlainError(f"holds a {type(value).__name__}, expected texts and numbers")
