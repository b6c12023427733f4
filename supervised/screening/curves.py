"""Pictures of a screening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.console.wording import count
from lab.training.pictures import canvas, labels, rendered
from supervised.screening.scores import Scored

if TYPE_CHECKING:
    from PIL.Image import Image


def precision_recall(scored: Scored, threshold: float, name: str) -> Image:
    """Draw precision over recall at every threshold, and mark the one that is used. `name` is that of the class."""
    from torchmetrics.functional.classification import binary_precision_recall_curve

    precision, recall, _ = binary_precision_recall_curve(scored.scores.cpu(), scored.truth.cpu())
    flagged, truth = scored.scores >= threshold, scored.truth.bool()
    found, there, alarms = (int(part.sum()) for part in (flagged & truth, truth, flagged))
    (name,) = labels([name])
    figure = canvas(6, 5)
    axes = figure.add_subplot()
    # From one threshold to the next recall falls before precision changes: a staircase, as in average precision.
    axes.plot(recall, precision, drawstyle="steps-post", label="all thresholds")
    if there and alarms:
        axes.plot(found / there, found / alarms, "o", color="tab:red", label=f"threshold {threshold:.3g}")
    share = float(truth.float().mean())
    axes.axhline(share, linestyle=":", color="grey", label=f"flag all: {share:.2f}")
    axes.set(xlabel=f"recall: share of the {name} that is flagged", xlim=(-0.02, 1.02), ylim=(0, 1.05))
    axes.set_ylabel(f"precision: share of the flagged that is {name}")
    axes.set_title(f"at the threshold: {found} of {there} {name} found, {count(alarms - found, 'false alarm')}")
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
    return rendered(figure)
