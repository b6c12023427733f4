"""`lab predict`: what a trained model says of files of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli import options as shared
from lab.cli.output import print_json, say, writing
from lab.cli.using import trained
from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.capabilities import Prediction

SUMMARY = "predict classes or values for files of your own"


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="files of the kind that the run was trained on")
    parser.add_argument("-o", "--output", metavar="FILE.csv", help="write the predictions as a table")
    shared.as_json(parser, "print the predictions as JSON")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    if options.output and Path(options.output).suffix != ".csv":
        raise ConfigError(f"predictions are written as a file that ends in .csv, received {options.output}")
    for name in options.inputs:  # before PyTorch is loaded
        if not Path(name).is_file():
            raise ConfigError(f"there is no file {name}")
    _, model = trained(options, "predict")
    from lab.data.reading import read_input

    found: list[Prediction] = []
    for name in options.inputs:
        tensor, notes = read_input(Path(name), model.spec.input)
        found += model.predict(tensor[None])  # one at a time: sounds have different lengths
        for note in notes:
            say(note)
    rows = [{"input": name} | _columns(one) for name, one in zip(options.inputs, found, strict=True)]
    if options.output:
        _write(rows, Path(options.output))
    if options.json:
        print_json(rows)
    else:
        for row in rows:
            probability = f", probability {row['probability']:.4g}" if "probability" in row else ""
            print(f"{row['input']}: {row.get('label', row.get('value'))}{probability}")
    return 0


def _columns(prediction: Prediction) -> dict[str, Any]:
    """Return what the prediction has: a label with its probability, or a value."""
    every = {"label": prediction.label, "probability": prediction.probability, "value": prediction.value}
    return {name: value for name, value in every.items() if value is not None}


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    from lab.runs.csv import as_csv
    from lab.system.files import write_atomic

    with writing(path):
        write_atomic(path, as_csv(rows).encode())
    say(f"wrote {path}")
