"""A published table: for each of its rows the figure, and the experiment that repeats it. Each is a YAML in
`configs/tables`, whose file name is the table's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, Literal

from lab.config.plain import parse
from lab.config.shipped import configs_folder
from lab.errors import ConfigError, nearest


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        name: as in the table, in a few words.
        value: the published figure.
        experiment: that repeats it.
        settings: what this row changes in the experiment, by dotted name.
    """

    name: str
    value: float
    experiment: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A published table.

    Args:
        name: as `lab reproduce` takes it.
        title: of the table, with its data set.
        source: where it was published.
        read: the day on which the source was read, as `2026-11-28`.
        metric: of a run that stands beside the published figure.
        unit: of the published figure, in words.
        direction: whether more (`max`) or less (`min`) is better.
        protocol: how the published figures were measured.
        rows: in the order of the publication.
        differs: why our metric does not compare with the published one, in words; empty where it does.
    """

    name: str
    title: str
    source: str
    read: str
    metric: str
    unit: str
    direction: Literal["max", "min"]
    protocol: str
    rows: Sequence[Row]
    differs: str = ""

    def chosen(self, names: Sequence[str]) -> list[Row]:
        """Return the rows whose names hold one of `names`, all for none. Raises ConfigError where one fits no row."""
        known = [row.name for row in self.rows]
        for name in names:
            if not any(name.lower() in one.lower() for one in known):
                raise ConfigError(
                    f"{self.name} has no row {name!r}{nearest(name, known)}; its rows: {'; '.join(known)}"
                )
        return [row for row in self.rows if not names or any(name.lower() in row.name.lower() for name in names)]


def tables() -> dict[str, Path]:
    """Return the tables that come with the lab: name to file."""
    return {path.stem: path for path in sorted((configs_folder() / "tables").glob("*.yaml"))}


def read_table(name: str) -> Table:
    """Return a table by its name. Raises ConfigError, with the nearest name, where there is none."""
    known = tables()
    if name not in known:
        raise ConfigError(f"unknown table {name!r}{nearest(name, known)}; known are {', '.join(known)}")
    values = parse(known[name].read_bytes(), bounded=False)
    try:
        rows = tuple(Row(row, **settings) for row, settings in values.pop("rows").items())
        table = Table(name, rows=rows, **values)
        date.fromisoformat(table.read)
    except (TypeError, ValueError, KeyError) as error:
        expected = ", ".join(one.name for one in fields(Table))
        raise ConfigError(f"{known[name]}: expected {expected}; {error}") from error
    return table
