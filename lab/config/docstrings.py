"""What the docstrings of classes say about the parameters of their constructors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

HEADING = re.compile(r"^(Args|Arguments|Parameters|Attributes):\s*$")
ENTRY = re.compile(r"^\*{0,2}(\w+)(?: *\(.*?\))?: *(.*)$")


def described(cls: Any) -> dict[str, str]:
    """Return parameter -> its text in the section `Args:` of the class or its constructor, those of base classes
    included. Line breaks become spaces."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts = (vars(base).get("__doc__"), getattr(vars(base).get("__init__"), "__doc__", None))
        for text in texts:
            if isinstance(text, str):
                found |= dict(_entries(inspect.cleandoc(text)))
    return found


def first_sentence(cls: Any) -> str:
    """Return the first paragraph of a class's own docstring on one line; empty where it has none."""
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    return " ".join(text.partition("\n\n")[0].split())


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield (parameter, text) of the section `Args:` of a docstring in Google's style."""
    lines = iter(text.splitlines())
    for line in lines:
        if HEADING.match(line):
            break
    name, said, depth = "", "", None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            break  # the section has ended
        depth = indent if depth is None and line.strip() else depth
        match = ENTRY.match(line.strip()) if indent == depth else None
        if match:
            if name:
                yield name, said
            name, said = match[1], match[2]
        elif line.strip():
            said = f"{said} {line.strip()}".strip()
    if name:
        yield name, said
