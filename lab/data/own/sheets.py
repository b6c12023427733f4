"""A csv file of the user's own, to train on."""

from __future__ import annotations

from pathlib import Path

from lab.data.files.csv import Sheet, parse_sheet
from lab.data.own.kinds import require_kind
from lab.errors import DataError
from lab.system.memory import require_memory

CELLS = 20  # bytes of memory for each byte of a file: measured 16


def read_sheet(path: Path) -> Sheet:
    """Read a csv file, whatever its name ends in, unless that is the ending of another kind.

    Raises ConfigError for a folder and for files of other kinds, DataError where the file cannot be read as a table.
    """
    require_kind(path, "csv")
    try:
        require_memory(CELLS * path.stat().st_size, f"the cells of {path.name} need")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return parse_sheet(content, path.name)
