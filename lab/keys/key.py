"""The key that signs what is made here: a file of the user, made when something is signed for the first time."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shlex import quote

from lab.errors import ConfigError
from lab.system.files import at_home, sync_folder

VARIABLE = "LAB_KEY_FILE"
LEAST = 32  # characters of a key
OTHERS = stat.S_IRWXO | stat.S_IWGRP
"""What the mode of its file should not allow. A team's key is read by a group."""


def key_file() -> Path:
    """Return the file of the key: `$LAB_KEY_FILE`, else one in the user's config folder. Raises ConfigError for a path
    that depends on the working directory, in which somebody else's key may lie."""
    if chosen := os.environ.get(VARIABLE):
        if not (path := at_home(chosen)).is_absolute():
            raise ConfigError(f"{VARIABLE}: expected an absolute path, received {chosen!r}")
        return path
    from platformdirs import user_config_path

    return user_config_path("lab") / "key"


def silent(sentence: str) -> None:
    """Say nothing."""


def existing_key(say: Callable[[str], None] = silent) -> bytes | None:
    """Return the key; None where there is none yet. Raises ConfigError for a file that cannot be read or is no key.
    `say` is told of a file that others than its owner and group may read or write."""
    path = key_file()
    try:
        found, mode = path.read_bytes().strip(), path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if VARIABLE in os.environ:
            raise ConfigError(f"{VARIABLE}: cannot read the key {path}: {error.strerror}") from error
        return None
    if len(found) < LEAST:
        raise ConfigError(f"{path} holds no key: expected at least {LEAST} characters, received {len(found)}")
    if os.name == "posix" and mode & OTHERS:
        say(f"others can use your key: they may read {path} or write it; `chmod 600 {quote(str(path))}` closes it")
    return found


def fingerprint() -> str:
    """Return what tells one key from another and says nothing about it; empty where there is none."""
    secret = existing_key()
    return "" if secret is None else hmac.new(secret, b"fingerprint", "sha256").hexdigest()[:16]


def key(say: Callable[[str], None] = silent) -> bytes | None:
    """Return the key, which is made if there is none. None where it cannot be written, of which `say` is told."""
    if (found := existing_key(say)) is not None:
        return found
    path = key_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    except OSError as error:
        say(
            f"what is recorded now is not signed as yours: no key can be written to {path} ({error.strerror}); "
            f"{VARIABLE} names another file"
        )
        return None
    return existing_key()


def _make(path: Path) -> None:
    """Write a new key to `path`, complete or not at all; another process may have been faster."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(LEAST).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, path)
        sync_folder(path.parent)
    finally:
        part.unlink()
