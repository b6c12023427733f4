"""Artifacts: what a run exports for other runs, by name (`encoder`, `codebook`), as safetensors and JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import CheckpointError
from lab.keys.ownership import run_of
from lab.keys.signature import RUN, is_signed, signed
from lab.system.files import print_of, write_json
from lab.system.opening import MOST_BYTES, is_plain, read_json, read_plain

FOLDER, COPIES = "artifacts", "needs"
"""Folders of a run: what it made, and copies of what other runs made that it was built from."""
MANIFEST = "manifest.json"


def artifact_at(path: Path, name: str) -> Path | None:
    """Return the folder of the artifact `name`; `path` is that folder or the run that made it. None if it is neither.

    Runs of version 0.1 have their encoder in `encoder/`.
    """
    moved = path.parent / FOLDER / name if path.name == name else path  # `RUN/encoder`, where 0.1 had it
    candidates = (path / FOLDER / name, path / name, path, moved)
    return next((folder for folder in candidates if (folder / f"{name}.json").is_file()), None)


@dataclass(frozen=True)
class Sealed:
    """An artifact's folder with what its manifest says.

    Args:
        folder: of the artifact.
        prints: size and hash of each of its files, by name; None where it has no manifest, as before version 0.2.
        mine: whether the manifest is signed as the user's own, and for the run that the artifact lies in.
    """

    folder: Path
    prints: Mapping[str, Any] | None
    mine: bool

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """Return the bytes of a file. Raises CheckpointError where they are not those of the manifest, OSError for no
        plain file, or more than `most` bytes."""
        content = read_plain(self.folder / name, self.folder, most)
        if self.prints is not None:
            found = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            if self.prints.get(name) != found:
                raise CheckpointError(f"{self.folder / name} is damaged: it differs from its hash in {MANIFEST}")
        return content


def seal(folder: Path, run_id: str | None, *, sign: bool = True) -> None:
    """Write the manifest of an artifact: the hashes of its files, signed as the user's own unless `sign` is false.

    `run_id` is of the run that it lies in; None for an artifact that lies in none, or was copied from another run.
    """
    values = {"schema": 1, RUN: run_id, "files": _prints(folder)}
    write_json(folder / MANIFEST, signed("artifact", values) if sign else values)


def sealed(folder: Path) -> Sealed:
    """Return an artifact with what its manifest says. One that is damaged counts as none."""
    try:
        values = read_json(folder / MANIFEST, folder)
        prints = values["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return Sealed(folder, None, mine=False)
    if not isinstance(prints, dict):
        return Sealed(folder, None, mine=False)
    if folder.parent.name == COPIES:  # of another run's artifact, and as much one's own as the run that it lies in
        fits = run_of(folder.parent.parent) != ""
    else:
        run = _run_of(folder)
        fits = run is None or values.get(RUN) == run
    return Sealed(folder, prints, mine=is_signed("artifact", values) and fits)


def is_whole(folder: Path) -> bool:
    """Whether an artifact is the user's own, and each of its files is the one that was sealed."""
    found = sealed(folder)
    return found.mine and found.prints == _prints(folder)


def _prints(folder: Path) -> dict[str, Any]:
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST and is_plain(path, folder))
    return {name: print_of(folder / name) for name in names}


def _run_of(folder: Path) -> str | None:
    """Return the id of the run that the artifact lies in, empty if that is not signed; None if it lies in none."""
    return run_of(folder.parent.parent if folder.parent.name == FOLDER else folder.parent)
