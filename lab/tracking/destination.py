"""Where a run goes on W&B: mode, project and sweep trial, read from environment variables."""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lab.errors import ConfigError, nearest
from lab.keys.signature import unguessable

FORBIDDEN = "/\\#?%:"
"""Letters that the names of W&B's projects and entities must not have."""
LONGEST = 128


@dataclass(frozen=True)
class Place:
    """The location of a run on W&B. `address` is the URL of its page."""

    entity: str
    project: str
    id: str
    address: str


def place_of(address: object) -> Place | None:
    """Return the place that a run's URL names; None if it is not the URL of a W&B run."""
    try:
        split = urlsplit(str(address or ""))
    except ValueError:  # half of an IPv6 address
        return None
    parts = [unquote(part) for part in split.path.split("/")[-4:]]
    if split.scheme not in ("http", "https") or len(parts) != 4 or parts[2] != "runs":
        return None
    return Place(parts[0], parts[1], parts[3], split.geturl())


def require_key() -> None:
    """Raise ConfigError if there is no API key for W&B."""
    if not _has_key():
        raise ConfigError("there is no API key for Weights & Biases; run `wandb login` or set WANDB_API_KEY")


def quiet(folder: str | Path) -> None:
    """Set W&B's environment variables so that its client writes only to `folder` and prints nothing.

    Call this before the client is first used.
    """
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        os.environ[name] = str(folder)
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else it sends timings of its own calls, and errors


def project() -> str:
    """Return the W&B project that runs are sent to."""
    return os.environ.get("WANDB_PROJECT") or "lab"


def sweeping() -> bool:
    """Whether this process is one trial of a sweep, started by `wandb agent`."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))


@contextmanager
def in_no_sweep() -> Iterator[None]:
    """Inside the block, this process is no trial of a sweep: a run there is another one than the trial."""
    ids = {name: os.environ.pop(name) for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(ids)


def trial(joined: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids of the run and of its sweep on W&B; empty if the run is not part of a sweep."""
    if sweeping():
        return {"id": os.environ["WANDB_RUN_ID"], "sweep": os.environ["WANDB_SWEEP_ID"]}
    return {key: str(joined[key]) for key in ("id", "sweep") if joined.get(key)}


def others_id(run_id: str) -> str:
    """Return the id on W&B of a run of somebody else's: the one that he recorded could be that of a run of the
    user's, who can tell this one again, and nobody else can."""
    return f"{re.sub(r'[^A-Za-z0-9-]+', '-', run_id)[:40]}-{unguessable(run_id)[:12]}"


def chosen_mode() -> str:
    """Return `online`, `offline` or `disabled`: WANDB_MODE if it is set, else online if there is a key, else offline.

    Raises ConfigError for an unknown mode, so that a typing error does not send a run that should stay local.
    """
    mode = os.environ.get("WANDB_MODE", "").lower()
    mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)  # W&B's old names
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1"):
        mode = "disabled"
    modes = ("online", "offline", "disabled")
    if mode and mode not in modes:
        raise ConfigError(f"WANDB_MODE must be one of {', '.join(modes)}, received {mode!r}{nearest(mode, modes)}")
    if mode != "disabled":
        _require_sound()
    return mode or ("online" if _has_key() else "offline")


def _require_sound() -> None:
    """Raise ConfigError for a variable whose value W&B would refuse later, in a message that does not name it."""
    address = os.environ.get("WANDB_BASE_URL", "")
    if address and not _is_address(address):
        raise ConfigError(f"WANDB_BASE_URL must be an address such as https://api.wandb.ai, received {address!r}")
    for name in ("WANDB_PROJECT", "WANDB_ENTITY"):
        value = os.environ.get(name, "")
        if bad := sorted({letter for letter in value if letter in FORBIDDEN or not letter.isprintable()}):
            raise ConfigError(f"{name} must be a name without {' '.join(map(repr, bad))}, received {value!r}")
        if len(value) > LONGEST:
            raise ConfigError(f"{name} must have at most {LONGEST} letters, received {len(value)}")
    key = os.environ.get("WANDB_API_KEY", "")
    if key and (key != key.strip() or not key.isascii() or len(key.split()) > 1):
        raise ConfigError("WANDB_API_KEY must be a key without spaces and quotes around it; https://wandb.ai/authorize")


def _is_address(text: str) -> bool:
    try:
        split = urlsplit(text)
    except ValueError:  # half of an IPv6 address
        return False
    return split.scheme in ("http", "https") and bool(split.hostname)


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
