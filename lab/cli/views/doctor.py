"""The result of `lab doctor` as text."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.doctor import WORTH_SAYING, Diagnosis, Tried

BUSY = 0.7
"""Load per CPU above which other work disturbs the measurement."""


def report(found: Diagnosis) -> RenderableType:
    """Return the time of each part as a table, the bottleneck, the settings that were tried, and the advice."""
    threads = f"{found.threads} CPU thread{'s' if found.threads > 1 else ''}"
    title = f"{found.name} on {found.device}, {threads}: {_number(found.timing.rate)} {found.step}{_plural(found)}/s"
    parts = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("part", "share", f"µs per {found.step}"):
        parts.add_column(header, justify="left" if header == "part" else "right")
    parts.add_column("")
    for part, share in found.shares.items():
        each = 1e6 * found.timing.seconds[part] / found.timing.steps
        parts.add_row(part, f"{share:.0%}", _number(each), Text(found.parts[part], style="dim"))
    lines: list[RenderableType] = [Text(title, style="bold"), parts, Text(), Text(found.verdict)]
    if found.tried:
        lines += [Text(), Text("settings tried, in alternation with the config as it is", style="bold"), _trials(found)]
    lines += [Text(), *(Text(line) for line in [*advice(found), *found.hints])]
    if found.load is not None and found.load > BUSY:
        lines.append(
            Text(f"This machine was already busy ({found.load:.1f} processes per CPU): measure again when it is not.")
        )
    return Group(*lines)


def advice(found: Diagnosis) -> list[str]:
    """Return what to change and the figures behind it, the largest gain first."""
    better = sorted((one for one in found.tried if one.advised), key=lambda one: -one.gain)
    if not better:
        return [f"No setting gained more than {WORTH_SAYING - 1:.0%}: leave the config as it is."]
    lines = [_advice(one, found) for one in better]
    if len(better) > 1:
        lines.append("Each was measured alone; together they may gain less.")
    if any(one.alternative.setting.startswith(("threads=", "device=")) for one in better):
        lines.append("Another number of threads or device rounds differently: figures may change in their last digits.")
    return lines


def _advice(one: Tried, found: Diagnosis) -> str:
    setting, remark = one.alternative
    change = f"{_number(one.before)} -> {_number(one.after)} {found.step}{_plural(found)}/s"
    return f"{setting}: {one.gain:.1f}x, {change}; --{setting}" + (f" ({remark})" if remark else "")


def _trials(found: Diagnosis) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "right", "right", "right"):
        table.add_column(justify=justify)
    for one in found.tried:
        table.add_row(
            one.alternative.setting, f"{one.gain:.2f}x", f"{_number(one.before)} ->", f"{_number(one.after)}/s"
        )
    return table


def _plural(found: Diagnosis) -> str:
    return "es" if found.step.endswith("ch") else "s"


def _number(value: float) -> str:
    """Return the number with three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
