"""Signatures (HMAC-SHA256) under config files and JSON. Each is bound to the kind of thing that it stands under."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal

from lab.trust.key import existing_key, key

Kind = Literal["config", "manifest", "artifact"]

MARK = b"# signed: "
"""Begins the last line of a signed config; for YAML it is a comment."""
FIELD = "signature"
"""Field of signed JSON."""


def signed_config(content: bytes) -> bytes:
    """Return a config's bytes with a signature under them, or unchanged where there is no key."""
    content, _ = _split(content)
    if (secret := key()) is None:
        return content
    return content + MARK + _code(secret, "config", content).encode() + b"\n"


def config_is_signed(content: bytes) -> bool:
    """Whether a config's bytes bear this user's signature."""
    content, code = _split(content)
    return code is not None and _fits(code, "config", content)


def signed(kind: Kind, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of JSON with a signature, or without where there is no key."""
    fields = {name: value for name, value in values.items() if name != FIELD}
    if (secret := key()) is None:
        return fields
    return {**fields, FIELD: _code(secret, kind, _canonical(fields))}


def is_signed(kind: Kind, values: Mapping[str, Any]) -> bool:
    """Whether the fields of JSON bear this user's signature."""
    code = values.get(FIELD)
    if not isinstance(code, str):
        return False
    return _fits(
        code.encode("utf-8", "surrogatepass"),
        kind,
        _canonical({name: one for name, one in values.items() if name != FIELD}),
    )


def _split(content: bytes) -> tuple[bytes, bytes | None]:
    """Return what is signed, and the signature."""
    above, mark, code = content.rpartition(MARK)
    if not mark or not (above == b"" or above.endswith(b"\n")) or not code.endswith(b"\n") or code.count(b"\n") > 1:
        return content, None
    return above, code.strip()


def _fits(code: bytes, kind: Kind, content: bytes) -> bool:
    secret = existing_key()
    return secret is not None and hmac.compare_digest(code, _code(secret, kind, content).encode())


def _code(secret: bytes, kind: Kind, content: bytes) -> str:
    return hmac.new(secret, f"lab {kind}\0".encode() + content, "sha256").hexdigest()


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
