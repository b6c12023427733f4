"""The experiments that come with the lab, by family."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any


def shipped() -> dict[str, Path]:
    """The lab's own experiments: name to file. Found beside `lab`, since others also call a package `configs`."""
    found = (path for name in families() for path in (_configs() / name).glob("*.yaml"))
    return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


def families() -> list[str]:
    """The packages that have experiments: those with a folder of their name in `configs`."""
    root = _configs().parent
    return sorted(path.name for path in _configs().iterdir() if (root / path.name / "__init__.py").is_file())


def family(config: Mapping[str, Any]) -> str:
    """The family of an experiment, read off its class names without importing them; `custom` for a user's own."""
    model = config.get("model")
    named = (config.get("experiment"), model.get("class_path") if isinstance(model, Mapping) else None)
    roots = [str(value).partition(".")[0] for value in named]
    return next((root for root in roots if root in families()), "custom")


def _configs() -> Path:
    return Path(str(resources.files("lab"))).parent / "configs"
