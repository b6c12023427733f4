"""What a run leaves for others, by name (`encoder`, `codebook`): folders of safetensors and JSON inside its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = "artifacts"


@dataclass(frozen=True)
class FromRun:
    """An artifact of another run. The runner finds its folder before anything is built.

    Args:
        run: a run's folder or id, or an experiment, which means its newest completed run.
        name: of the artifact.
    """

    run: str
    name: str = "encoder"


Artifact = FromRun | str
"""A setting that needs an artifact: it takes a path, or the run and the name. The path may be the run's folder."""


def artifact_at(path: Path, name: str) -> Path | None:
    """Return the folder of the artifact `name`, given that folder, or the run that made it; None where it is neither.

    Runs of version 0.1 have their encoder in `encoder/`.
    """
    candidates = (path / FOLDER / name, path / name, path)
    return next((folder for folder in candidates if (folder / f"{name}.json").is_file()), None)
