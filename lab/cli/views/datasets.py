"""Prints what a data set is: its kind, form, splits, classes and hash, and what can be run on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.cli.data.finding import Found
from lab.cli.data.fitting import commands, misfit
from lab.cli.data.tally import CPU, tally
from lab.cli.output import print_line, stdout
from lab.console.tables import table
from lab.console.wording import shown
from lab.data.lengths import LengthBatches
from lab.data.spec import Boxes, Classes, InputSpec, Masks, Spec, Tokens, Values

MOST_CLASSES = 30  # that are printed
FIRST_LINES, LONGEST_LINE = 6, 100
BEGINNING = 10_000  # characters that they are looked for in


def described(found: Found) -> dict[str, Any]:
    """Return what is told of a data set, as plain values, with the commands that run experiments on it."""
    data = found.data
    target, counts = data.spec.target, tally(data)
    classes = isinstance(target, Classes)
    names = list(target.names) or list(map(str, range(target.n))) if isinstance(target, Classes) else []
    return {
        "name": data.info.name,
        "kind": found.kind,
        "path": data.info.path,
        "input": _form(data.spec.input),
        "target": _target(data.spec.target),
        "seconds": _seconds(found),
        "beginning": _beginning(getattr(data, "text", "")),
        "examples": {split: sum(each) for split, each in counts.items()},
        "classes": {
            name: {split: each[i] for split, each in counts.items()} for i, name in enumerate(names) if classes
        },
        "sha256": data.info.sha256,
        "notes": list(data.notes),
        "commands": commands(found),
    }


def misfits(found: Found, runs: Sequence[str]) -> dict[str, str]:
    """Return why the models of some commands cannot be built for the data, by command."""
    return {command: why for command in runs if (why := misfit(command, found))}


def print_dataset(found: Found) -> None:
    """Print what `described` returns, and each command as soon as it has been tried."""
    told = described(found)
    console = stdout()
    place = f" ({told['path']})" if told["path"] else ""
    print_line(f"{told['name']}: {told['kind']}{place}")
    rows = [("input", told["input"]), ("target", told["target"])]
    if told["seconds"]:
        rows.append(("length", "{:.3g} to {:.3g} seconds, half of them below {:.3g}".format(*told["seconds"])))
    rows += [("sha256", told["sha256"] or "none")]
    for name, value in rows:
        print_line(f"  {name:7} {value}")
    for note in told["notes"]:
        print_line(f"  {note}")
    for line in told["beginning"]:
        print_line(f"  | {line}")
    print_line()
    splits = list(told["examples"])
    classes = list(told["classes"].items())
    lines = [(name, *(f"{each[split]:,}" for split in splits)) for name, each in classes[:MOST_CLASSES]]
    if len(classes) > MOST_CLASSES:
        lines.append((f"and {len(classes) - MOST_CLASSES:,} more", *("" for _ in splits)))
    lines.append(("all" if lines else "examples", *(f"{told['examples'][split]:,}" for split in splits)))
    console.print(table(("class" if classes else "", *splits), lines, right=splits))
    print_line()
    for command in told["commands"]:
        print_line(command)
        if why := misfit(command, found):
            print_line(f"  # {why}")


def _beginning(text: str) -> list[str]:
    """Return the first lines of a text that hold anything, the long ones shortened; none where there is no text."""
    lines = (line.rstrip() for line in text[:BEGINNING].split("\n"))
    return [shown(line, LONGEST_LINE) for line in lines if line.strip()][:FIRST_LINES]


def _form(spec: Spec) -> str:
    if not isinstance(spec, InputSpec):
        return "; ".join(f"{name}: {_form(one)}" for name, one in spec.items())
    if spec.sample_rate:
        return f"sounds of {spec.sample_rate:,} samples per second"
    if spec.vocab is not None:
        return (
            f"{spec.shape[0]:,} token ids, of {spec.vocab:,} different ones"
            if spec.shape
            else f"one of {spec.vocab:,} ids"
        )
    if len(spec.shape) == 3:
        channels, height, width = spec.shape
        return f"images of {width}x{height} pixels, {'grey' if channels == 1 else f'{channels} channels'}"
    return f"{' x '.join(f'{side:,}' for side in spec.shape)} numbers"


def _target(target: object) -> str:
    if isinstance(target, Classes):
        return f"{target.n:,} classes" if target.n != 1 else "one class, so that there is nothing to classify"
    if isinstance(target, Values):
        return f"values: {', '.join(target.names)}" if target.names else f"values of shape {target.shape}"
    if isinstance(target, Masks):
        return f"a class for each pixel, of {target.n:,}"
    if isinstance(target, Boxes):
        return f"boxes of {target.n:,} classes"
    return f"{target.length:,} token ids" if isinstance(target, Tokens) else "none"


def _seconds(found: Found) -> Sequence[float] | None:
    """Return the shortest, the longest and the median length of sounds; None for other inputs."""
    form = found.data.spec.input
    batches = found.data.train(CPU, 0, batch_size=1)
    if not isinstance(form, InputSpec) or not form.sample_rate or not isinstance(batches, LengthBatches):
        return None
    lengths = batches.lengths / form.sample_rate
    return [float(lengths.min()), float(lengths.max()), float(lengths.median())]
