"""Signatures (HMAC-SHA256) under config files and JSON. Each is bound to the kind of thing that it stands under.

Those of a run's JSON are bound to the run too: they have its id in what is signed. A config is the same in every run
with its settings, so the signed summary of the run holds its hash.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from lab.console.notices import notice
from lab.keys.key import existing_key, key

Kind = Literal["config", "summary", "manifest", "artifact"]

LINE = re.compile(rb"# signed: (?P<code>[^\n]*)\n\Z")
"""The last line of a signed config; for YAML it is a comment."""
FIELD, RUN, CONFIGS = "signature", "run_id", "configs"
"""Fields of signed JSON: the signature, the id of the run that it belongs to, and in a summary the hash of the run's
config; two while one takes the other's place."""


def signed_config(content: bytes) -> bytes:
    """Return a config's bytes with a signature under them, or unchanged where there is no key. An earlier signature
    under them goes."""
    content, _ = _split(content)
    secret = key(_say_once)
    return content if secret is None else content + f"# signed: {_code(secret, 'config', content)}\n".encode()


def config_is_signed(content: bytes) -> bool:
    """Whether a config's bytes bear this user's signature."""
    content, code = _split(content)
    return code is not None and _fits(code, "config", content)


def print_of_config(content: bytes) -> str:
    """Return the SHA-256 of a config's bytes, which a signature under them does not change."""
    return hashlib.sha256(_split(content)[0]).hexdigest()


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


def _split(content: bytes) -> tuple[bytes, bytes | None]:
    """Return what is signed, and the signature."""
    begin = content.rfind(b"\n", 0, -1) + 1
    found = LINE.fullmatch(content[begin:])
    return (content, None) if found is None else (content[:begin], found["code"].strip())


def _fits(code: bytes, kind: str, content: bytes) -> bool:
    secret = existing_key(_say_once)
    return secret is not None and hmac.compare_digest(code, _code(secret, kind, content).encode())


def _code(secret: bytes, kind: str, content: bytes) -> str:
    return hmac.new(secret, f"lab {kind}\0".encode() + content, "sha256").hexdigest()


def _canonical(values: Mapping[str, Any]) -> bytes:
    """Return the same bytes for values and for what JSON makes of them: a key that is a number becomes a text there."""
    return json.dumps(json.loads(json.dumps(values)), sort_keys=True, separators=(",", ":")).encode()
