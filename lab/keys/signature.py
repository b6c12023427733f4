"""Signatures (HMAC-SHA256) under config files and JSON. Each is bound to the kind of thing that it stands under.

Those of a run are bound to the run too: they have its id in what is signed.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from lab.console.notices import notice
from lab.errors import ConfigError
from lab.keys.key import existing_key, key

Kind = Literal["config", "summary", "manifest", "artifact"]

LINE = re.compile(rb"# signed(?: for (?P<run>[^\n]*))?: (?P<code>[^\n]*)\n\Z")
"""The last line of a signed config; for YAML it is a comment."""
FIELD, RUN = "signature", "run_id"
"""Fields of signed JSON: the signature, and the id of the run that it belongs to."""
ID = re.compile(r"[\w.-]{1,200}", re.ASCII)


def signed_config(content: bytes, run: str | None = None) -> bytes:
    """Return a config's bytes with a signature under them, or unchanged where there is no key.

    Args:
        content: what is signed; an earlier signature under it goes.
        run: id of the run whose config it is; None for a file that belongs to no run.

    Raises ConfigError for an id that is no name.
    """
    content, *_ = _split(content)
    if (secret := key(_say_once)) is None:
        return content
    named = "" if run is None else f" for {_required(run)}"
    return content + f"# signed{named}: {_code(secret, _of(run), content)}\n".encode()


def config_is_signed(content: bytes) -> bool:
    """Whether a config's bytes bear this user's signature, for whatever run."""
    content, run, code = _split(content)
    return code is not None and _fits(code, _of(run), content)


def run_of_config(content: bytes) -> str | None:
    """Return the id of the run that a config's bytes are signed for; None where they are signed for no run, or not by
    this user."""
    return _split(content)[1] if config_is_signed(content) else None


def signed(kind: Kind, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of JSON with a signature, or without where there is no key."""
    fields = unsigned(values)
    if (secret := key(_say_once)) is None:
        return fields
    return {**fields, FIELD: _code(secret, kind, _canonical(fields))}


def unsigned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of JSON without a signature."""
    return {name: value for name, value in values.items() if name != FIELD}


def is_signed(kind: Kind, values: Mapping[str, Any]) -> bool:
    """Whether the fields of JSON bear this user's signature."""
    code = values.get(FIELD)
    if not isinstance(code, str):
        return False
    return _fits(code.encode("utf-8", "surrogatepass"), kind, _canonical(unsigned(values)))


def unguessable(text: str) -> str:
    """Return letters and digits that only this user can tell from a text, the same every time; other ones every time
    where there is no key."""
    secret = key(_say_once)
    return secrets.token_hex(32) if secret is None else _code(secret, "name", text.encode("utf-8", "surrogatepass"))


@lru_cache(10)
def _say_once(sentence: str) -> None:
    notice(sentence)


def _required(run: str) -> str:
    if not ID.fullmatch(run):
        raise ConfigError(f"a run's id must be a name of letters, digits, dots and dashes, received {run[:80]!r}")
    return run


def _of(run: str | None) -> str:
    return "config" if run is None else f"config of {run}"


def _split(content: bytes) -> tuple[bytes, str | None, bytes | None]:
    """Return what is signed, the id of the run, and the signature."""
    begin = content.rfind(b"\n", 0, -1) + 1
    found = LINE.fullmatch(content[begin:])
    if found is None:
        return content, None, None
    run = found["run"]
    return content[:begin], None if run is None else run.decode("ascii", "replace"), found["code"].strip()


def _fits(code: bytes, kind: str, content: bytes) -> bool:
    secret = existing_key()
    return secret is not None and hmac.compare_digest(code, _code(secret, kind, content).encode())


def _code(secret: bytes, kind: str, content: bytes) -> str:
    return hmac.new(secret, f"lab {kind}\0".encode() + content, "sha256").hexdigest()


def _canonical(values: Mapping[str, Any]) -> bytes:
    """Return the same bytes for values and for what JSON makes of them: a key that is a number becomes a text there."""
    return json.dumps(json.loads(json.dumps(values)), sort_keys=True, separators=(",", ":")).encode()
