"""Where W&B runs go: which mode, which project, and which trial of a sweep, as the environment says."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lab.errors import ConfigError, nearest


@dataclass(frozen=True)
class Place:
    """Where a run is on W&B. `address` is its page there."""

    entity: str
    project: str
    id: str
    address: str


def place_of(address: object) -> Place | None:
    """Return the place that a run's address names; None where it is none of W&B's."""
    split = urlsplit(str(address or ""))
    parts = [unquote(part) for part in split.path.split("/")[-4:]]
    if split.scheme not in ("http", "https") or len(parts) != 4 or parts[2] != "runs":
        return None
    return Place(parts[0], parts[1], parts[3], split.geturl())


def require_key() -> None:
    """Raise ConfigError where W&B would not let us in."""
    if not _has_key():
        raise ConfigError("there is no key for Weights & Biases: `wandb login`, or set WANDB_API_KEY")


def quiet(folder: str | Path) -> None:
    """Have W&B's client keep all its files in `folder`, and its comments to itself; it reads this when first used."""
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        os.environ[name] = str(folder)
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # or it sends timings of its own calls, and errors


def project() -> str:
    """The W&B project that runs are sent to."""
    return os.environ.get("WANDB_PROJECT") or "lab"


def sweeping() -> bool:
    """Whether `wandb agent` has started this process, as one trial of a sweep."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))


def trial(joined: Mapping[str, Any]) -> dict[str, str]:
    """Which run of which sweep this one is on W&B; empty where it is one of its own."""
    if sweeping():
        return {"id": os.environ["WANDB_RUN_ID"], "sweep": os.environ["WANDB_SWEEP_ID"]}
    return {key: str(joined[key]) for key in ("id", "sweep") if joined.get(key)}


def chosen_mode() -> str:
    """`online`, `offline` or `disabled`: WANDB_MODE, else online where there is a key, else offline.

    Raises ConfigError for a mode that does not exist: a slip must not send what was meant to stay.
    """
    mode = os.environ.get("WANDB_MODE", "").lower()
    mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)  # W&B's old names
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1"):
        mode = "disabled"
    modes = ("online", "offline", "disabled")
    if mode and mode not in modes:
        raise ConfigError(f"WANDB_MODE must be one of {', '.join(modes)}, received {mode!r}{nearest(mode, modes)}")
    if mode:
        return mode
    return "online" if _has_key() else "offline"


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
