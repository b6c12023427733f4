"""A table's published figures beside ours, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from lab.published.results import Result
from lab.published.table import Table
from lab.training.pictures import canvas, rendered

ROW = 0.45  # inches


def draw(table: Table, found: Sequence[Result]) -> Image.Image:
    """Return a row for each row of the table, with the published figure and ours on one axis. What was trained for a
    shorter time is an empty circle."""
    figure = canvas(8, 1.6 + ROW * len(found))
    axes = figure.add_subplot()
    places = range(len(found))
    axes.scatter(
        [one.row.value for one in found], places, marker="|", s=220, linewidths=2.5, label="published", zorder=3
    )
    for shorter, label in ((False, "ours"), (True, "ours, shortened budget")):
        shown = [
            (one.figure, place)
            for place, one in zip(places, found, strict=True)
            if one.figure is not None and bool(one.shorter) is shorter
        ]
        if shown:
            colour = "none" if shorter else "C1"
            figures, at = zip(*shown, strict=True)
            axes.scatter(figures, at, s=60, edgecolors="C1", facecolors=colour, label=label, zorder=4)
    for place, one in zip(places, found, strict=True):
        if one.figure is not None:
            axes.plot([one.row.value, one.figure], [place, place], color="0.7", linewidth=1, zorder=1)
    axes.set_yticks(places, [one.row.name for one in found])
    axes.invert_yaxis()
    better = "less" if table.direction == "min" else "more"
    differs = "; not the same metric" if table.differs else ""
    axes.set_xlabel(f"{table.unit}, {better} is better{differs}")
    axes.set_title(table.title, fontsize=10)
    axes.grid(axis="x", color="0.9")
    axes.legend(loc="best", fontsize=8)
    return rendered(figure)
