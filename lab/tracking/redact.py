"""Blanks everything that looks like a secret before a config or command line is recorded."""

from __future__ import annotations

import os
import re
from typing import Any

SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:api[_-]?key|token|secret|passw(?:or)?d|credentials?|private[_-]?key)(?:$|[_.-])", re.IGNORECASE
)
SECRET_VALUE = re.compile(
    r"(://[^/\s:@]+:)[^@\s/]+(?=@)"  # user:password in an address
    r"|(?<![/\w])(?:wandb_v\d_\w{20,}|[0-9a-f]{40}|gh[pousr]_\w{20,}|hf_\w{20,}|sk-[\w-]{20,}|AKIA[0-9A-Z]{16})(?![/\w])"
)
BLANK = "[redacted]"


def redact(value: Any) -> Any:
    """Return `value` (nested dicts, lists, scalars) without secrets. A secret is recognised by its key, by its form, or
    as the value of an environment variable with such a name."""
    known = [secret for name, secret in os.environ.items() if len(secret) >= 8 and SECRET_NAME.search(name)]
    return _redact(value, known)


def _redact(value: Any, known: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: BLANK if item and isinstance(item, str) and SECRET_NAME.search(str(key)) else _redact(item, known)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redact(item, known) for item in value]
    if isinstance(value, str):
        for secret in known:
            value = value.replace(secret, BLANK)
        return SECRET_VALUE.sub(lambda match: (match[1] or "") + BLANK, value)
    return value
