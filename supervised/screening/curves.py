"""Pictures of a screening."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lab.console.wording import count
from lab.training.pictures import canvas, labels, rendered
from supervised.screening.scores import Scored, binned

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


def roc(scored: Scored, threshold: float, name: str) -> Image:
    """Draw the share of the class that is flagged over that of the others, at every threshold, and mark the one that is
    used."""
    from torchmetrics.functional.classification import binary_auroc, binary_roc

    scores, truth = scored.scores.cpu(), scored.truth.cpu()
    alarms, found, _ = binary_roc(scores, truth)
    flagged = scores >= threshold
    (name,) = labels([name])
    figure = canvas(6, 5)
    axes = figure.add_subplot()
    axes.plot(alarms, found, label=f"all thresholds, area {float(binary_auroc(scores, truth)):.4f}")
    used = [float(flagged[truth == one].float().mean()) for one in (0, 1)]
    axes.plot(*used, "o", color="tab:red", label=f"threshold {threshold:.3g}")
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="guessing")
    axes.set(xlabel="share of the others that is flagged", xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    axes.set_ylabel(f"recall: share of the {name} that is flagged")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    return rendered(figure)


def reliability(scored: Scored, name: str) -> Image:
    """Draw the share of the class over its probability, in groups of examples with similar ones, and below it how many
    have which (Niculescu-Mizil & Caruana 2005)."""
    groups = binned(scored)
    (name,) = labels([name])
    figure = canvas(5.5, 6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    spread = (groups.shares * (1 - groups.shares) / groups.counts).sqrt()
    above.plot([0, 1], [0, 1], linestyle=":", color="grey", label="true probabilities")
    above.errorbar(groups.scores, groups.shares, spread, fmt="o-", capsize=3, label="this model, ± one standard error")
    error = float(((groups.scores - groups.shares).abs() * groups.counts).sum() / groups.counts.sum())
    above.set(ylabel=f"share that is {name}", ylim=(-0.03, 1.03))
    above.set_title(f"{int(groups.counts.sum()):,} examples: calibration error {error:.3f}")
    above.legend(loc="upper left")
    below.hist(scored.scores.cpu(), groups.edges, color="#3264a8", edgecolor="white")
    below.set(xlabel=f"probability of {name}", ylabel="examples", xlim=(-0.03, 1.03))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return rendered(figure)


def cost_by_threshold(scored: Scored, threshold: float, miss_cost: float, name: str) -> Image:
    """Draw the mean cost of an example at every threshold, and mark the one that is used and the one that costs least
    where the scores are true probabilities: 1 / (1 + `miss_cost`) (Elkan 2001, section 1)."""
    tried = torch.cat([torch.logspace(-4, 0, 201), torch.tensor([threshold])]).sort().values
    costs = [float(scored.costs(one, miss_cost).mean()) for one in tried.to(scored.scores)]
    share = float(scored.truth.float().mean())
    used, least = float(scored.costs(threshold, miss_cost).mean()), 1 / (1 + miss_cost)
    (name,) = labels([name])
    figure = canvas(6, 5)
    axes = figure.add_subplot()
    axes.semilogx(tried, costs, drawstyle="steps-post", label="all thresholds")
    axes.plot(threshold, used, "o", color="tab:red", label=f"threshold {threshold:.3g}: {used:.3f}")
    axes.axvline(least, linestyle="--", color="tab:green", label=f"best for true probabilities: {least:.3g}")
    axes.axhline(1 - share, linestyle=":", color="grey", label=f"flag all: {1 - share:.2f}")
    axes.axhline(miss_cost * share, linestyle="-.", color="grey", label=f"flag none: {miss_cost * share:.2f}")
    axes.set(xlabel=f"threshold on the probability of {name}", ylabel="mean cost of an example, in false alarms")
    axes.set_title(f"missing a {name} one costs {miss_cost:g} false alarms")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    axes.grid(alpha=0.3)
    return rendered(figure)
