"""What was read from many files is remembered in the user's cache folder, so that it need not be read again.

The file may be deleted at any time. It holds JSON alone, nothing in it is ever executed, and whatever does not fit is
read anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

MOST_BYTES = 400_000_000
RECENT = 2.0
"""Seconds within which a file may change again without another time of change."""
VERSION = "4"


class Remembered:
    """Values by path, each with a stamp: it is valid as long as its file has the same stamp.

    Args:
        what: kind of the values.
        place: folder that the paths are in.
    """

    def __init__(self, what: str, place: Path) -> None:
        from platformdirs import user_cache_path  # 10 ms

        name = hashlib.sha256(os.fspath(place).encode(errors="surrogateescape")).hexdigest()[:16]
        self.file = user_cache_path("lab") / "runs" / f"{name}-{what}-{VERSION}"
        self.changed = 0
        self.now = time.time()

    @cached_property
    def lines(self) -> dict[bytes, bytes]:
        """Stamp and value by key, as they stand in the file."""
        try:
            if self.file.stat().st_size > MOST_BYTES:
                return {}
            content = self.file.read_bytes()
        except OSError:
            return {}
        parted = (line.partition(b"\t") for line in content.split(b"\n") if line)
        return {key: rest for key, _, rest in parted}

    def get(self, key: str, stamp: str) -> Any:
        """Return the value under the key; None where there is none of this stamp."""
        line = self.lines.get(os.fsencode(key))
        if line is None:
            return None
        known, _, value = line.partition(b"\t")
        if known != stamp.encode():
            return None
        with suppress(ValueError):
            return orjson.loads(value)
        return None

    def put(self, key: str, stamp: str, value: Any, changed_at: float) -> None:
        """Remember a value. Left out are values that JSON does not give back as they are, and those of files that
        changed in the last seconds."""
        if self.now - changed_at < RECENT or "\t" in key or "\n" in key:
            return
        with suppress(TypeError, ValueError, RecursionError):
            text = json.dumps(value, allow_nan=False, separators=(",", ":"))
            if orjson.loads(text) == value:
                self.lines[os.fsencode(key)] = f"{stamp}\t{text}".encode()
                self.changed += 1

    def save(self) -> None:
        """Write the values whose keys are paths that exist, if more than a few are new. That it fails does no harm."""
        if not self.changed or self.changed <= len(self.lines) // 50:
            return
        content = b"".join(key + b"\t" + rest + b"\n" for key, rest in self.lines.items() if os.path.exists(key))
        part = self.file.with_name(f"{self.file.name}.{os.getpid()}.part")
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            part.replace(self.file)
            self.changed = 0


def stamp_of(found: os.stat_result) -> str:
    """Return what changes whenever a file's content does: its size, its times of change, of which anybody may set the
    first but nobody the second, and its number on the disk."""
    return f"{found.st_size}.{found.st_mtime_ns}.{found.st_ctime_ns}.{found.st_ino}"
