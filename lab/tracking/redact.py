"""Blanks everything that looks like a secret before a config, a command line or an error is recorded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

BLANK = "[redacted]"
FOLDERS = {"PWD", "OLDPWD"}
"""Variables that are folders, although `pwd` may be short for a password."""
SHORTEST = 4  # letters of a secret that is looked for in other texts

NAMES = (
    r"api[_-]?keys?|access[_-]?keys?|private[_-]?keys?|secret[_-]?keys?|signing[_-]?keys?|encryption[_-]?keys?|token"
    r"|secrets?|\w{0,30}passw(?:or)?d|passphrase|passcode|pass|pwd|credentials?|auth|authorization|bearer|cookie|oauth|otp"
    r"|webhook|connection[_-]?string|(?:account|license|ssh|service|openai|wandb)[_-]?keys?"
)
PIN = r"pin(?:[_-]?code)?"
SECRET_NAME = re.compile(rf"(?:^|[_.-])(?:(?:{NAMES})(?:$|[_.-])|{PIN}$)", re.IGNORECASE)
COUNTED = r"token|tokens|pass|auth|authorization|oauth|bearer|cookie|webhook|credentials?"
SECRET_NUMBER = re.compile(rf"(?:^|[_.-])(?!(?:{COUNTED})$)(?:{NAMES}|{PIN})$", re.IGNORECASE)
"""Names under which a number is a secret too. Under the others it is a count, such as that of tokens."""
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

NAMED = rf"(?<![\w.-])(?:[\w.-]{{0,60}}(?:[_.-]|(?-i:(?<=[a-z0-9])(?=[A-Z]))))?(?:{NAMES}|{PIN})"
IN_TEXT = re.compile(
    r"(://[^/\s:@]*:)[^@\s/]+(?=@)"  # user:password in an address
    r"|(://)[^/\s:@]{8,}(?=@)"  # a token before a host
    rf"|({NAMED}\s*=\s*[\"']?)(?!\[redacted)[^\s\"'&,;)}}\]]{{4,}}"  # password=...
    rf"|({NAMED}(?:[\"']\s*:|\s*:\s)\s*[\"']?)(?!\[redacted)(?=\S*\d)[^\s\"'&,;)}}\]]{{6,}}"  # password: ...
    r"|(\b(?:bearer|basic|token)\s+)(?=\S*\d)[\w.~+/=-]{12,}",  # as in a header of HTTP
    re.IGNORECASE,
)
"""What stands beside something that says that it is a secret. The first group that matches is kept."""

FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<![/\w])(?:"
    r"wandb_v\d_\w{20,}|[0-9a-f]{40}|gh[pousr]_\w{20,}|github_pat_\w{20,}|gl[a-z]{2,6}-[\w-]{16,}|hf_\w{20,}"
    r"|sk-[\w-]{20,}|[rsp]k_(?:live|test)_\w{16,}|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w-]{20,}"
    r"|xox[abceoprs]-[\w-]{10,}|xapp-[\w-]{10,}|npm_\w{20,}|pypi-[\w-]{20,}|SG\.[\w-]{10,}\.[\w-]{10,}|dop_v1_\w{20,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
    r")(?![/\w])",
    re.DOTALL,
)
"""Secrets that are known by their form: keys of W&B, GitHub, GitLab, Hugging Face, OpenAI, Stripe, AWS, Google, Slack,
npm, PyPI, SendGrid and DigitalOcean, web tokens and private keys."""


def redact(value: Any, also: Iterable[str | None] = ()) -> Any:
    """Return `value` (nested dicts, lists, scalars) without secrets. A secret is recognised by its key, by what stands
    beside it, by its form, or as the value of an environment variable with such a name.

    Args:
        value: what is to be recorded.
        also: texts that are secrets, whatever they look like.
    """
    named = {name: secret for name, secret in os.environ.items() if name not in FOLDERS and is_secret(name)}
    known = [secret for secret in named.values() if len(secret) >= 8]
    return _redact(value, sorted({*known, *filter(None, also)}, key=len, reverse=True))


def is_secret(name: str) -> bool:
    """Whether what stands under a name is a secret."""
    return SECRET_NAME.search(CAMEL.sub("_", name)) is not None


def _is_number(name: str) -> bool:
    """Whether a number under this name is a secret."""
    return SECRET_NUMBER.search(CAMEL.sub("_", name)) is not None


def secrets_of(values: Any) -> Iterator[str]:
    """Yield the texts and numbers among settings that are secrets by their names, as texts."""
    hidden = redact(values)

    def walk(value: Any, shown: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            for name, one in value.items():
                yield from walk(one, shown[name])
        elif isinstance(value, list):
            for one, other in zip(value, shown, strict=True):
                yield from walk(one, other)
        elif shown == BLANK and len(str(value)) >= SHORTEST:
            yield str(value)

    return walk(values, hidden)


def blanked(values: Any, key: str = "") -> Iterator[str]:
    """Yield the dotted names of settings that were blanked, or a part of them."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from blanked(value, key if name == "init_args" else f"{key}.{name}".lstrip("."))
    elif isinstance(values, list):
        for value in values:
            yield from blanked(value, key)
    elif isinstance(values, str) and BLANK in values:
        yield key


def _redact(value: Any, known: list[str], *, secret: bool = False, number: bool = False) -> Any:
    """`secret`: whether a text is one by the names above it; `number`: whether a number is, too."""
    if isinstance(value, dict):
        return {
            key: _redact(item, known, secret=secret or is_secret(str(key)), number=number or _is_number(str(key)))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redact(item, known, secret=secret, number=number) for item in value]
    if number and isinstance(value, int | float) and not isinstance(value, bool):
        return BLANK
    if not isinstance(value, str) or not value:
        return value
    if secret:  # the name of a variable is no secret
        return value if re.fullmatch(r"\$\{env:\w+\}", value) else BLANK
    for one in known:
        value = value.replace(one, BLANK)
    value = IN_TEXT.sub(lambda found: next((part for part in found.groups() if part), "") + BLANK, value)
    return FORMS.sub(BLANK, value)
