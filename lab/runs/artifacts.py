"""Artifacts: what a run exports for other runs, by name (`encoder`, `codebook`), as safetensors and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = "artifacts"


@dataclass(frozen=True)
class FromRun:
    """An artifact of another run. Its folder is found before anything is built.

    Args:
        run: a run's folder or id, or an experiment, which means its newest completed run.
        name: of the artifact.
    """

    run: str
    name: str = "encoder"


Artifact = FromRun | str
"""Type of a setting that needs an artifact: the path of its folder, or of a run's folder for the artifact that
`FromRun` means by default, or a `FromRun`."""


def artifact_at(path: Path, name: str) -> Path | None:
    """Return the folder of the artifact `name`; `path` is that folder or the run that made it. None if it is neither.

    Runs of version 0.1 have their encoder in `encoder/`.
    """
    moved = path.parent / FOLDER / name if path.name == name else path  # `RUN/encoder`, where 0.1 had it
    candidates = (path / FOLDER / name, path / name, path, moved)
    return next((folder for folder in candidates if (folder / f"{name}.json").is_file()), None)
