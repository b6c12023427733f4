"""Secrets never leave the machine: what looks like one is blanked before config or arguments are recorded."""

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
    """Return `value` (nested dicts, lists, scalars) with every secret blanked, by its key's name or its own looks."""
    if isinstance(value, dict):
        return {
            key: BLANK if item and isinstance(item, str) and SECRET_NAME.search(str(key)) else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    if isinstance(value, str):
        return SECRET_VALUE.sub(lambda match: (match[1] or "") + BLANK, _without_known_secrets(value))
    return value


def _without_known_secrets(text: str) -> str:
    for name, secret in os.environ.items():
        if len(secret) >= 8 and SECRET_NAME.search(name):
            text = text.replace(secret, BLANK)
    return text
