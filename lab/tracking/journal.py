"""The journal: `metrics.jsonl`, the one true record of a run's metrics, from which all else can be rebuilt."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.errors import SavingError


class Journal:
    """Appends one strict JSON row per logged step: `{"time", "axis", <axis>: n, <metric>: number|null}`."""

    def __init__(self, path: Path) -> None:
        self.rows = path.read_bytes().count(b"\n") if path.exists() else 0
        self.file = path.open("a", encoding="utf-8")

    def log(self, metrics: Mapping[str, float], *, axis: str, at: int) -> None:
        row = {"time": round(time.time(), 3), "axis": axis, axis: at}
        row |= {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}
        try:
            self.file.write(json.dumps(row, allow_nan=False) + "\n")
            self.file.flush()  # to the operating system: a killed run keeps its rows
        except OSError as error:
            raise SavingError(f"cannot write to the journal {self.file.name}: {error.strerror}") from error
        self.rows += 1

    def position(self) -> dict[str, int]:
        """Force all rows to the disk; return how many there are, and how many bytes."""
        os.fsync(self.file.fileno())
        return {"rows": self.rows, "bytes": self.file.tell()}

    def media(self, name: str, path: Path, *, axis: str, at: int) -> None:
        """Nothing to do: the file itself is the record."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        self.file.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows; a last row that a crash cut short is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
